package privicoretest

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

func health(*state, *call) answer { return value(map[string]string{"status": "ok"}) }

func requestStatus(s *state, c *call) answer {
	if wait := s.statusWait(); wait > 0 {
		a := refuse(http.StatusTooManyRequests, "request.too_many", "Too many requests.")
		seconds := max(1, int(math.Ceil(wait.Seconds())))
		a.header = http.Header{"Retry-After": {strconv.Itoa(seconds)}}
		return a
	}
	id := c.path()
	if why := uuid(id, true); why != "" {
		return invalid(problem{"commandId", why})
	}
	cmd := s.command(id)
	switch {
	case cmd == nil:
		return refuse(http.StatusNotFound, "command.not_found", "Record not found.")
	case !cmd.finished:
		return answer{status: http.StatusAccepted, value: []string{"started"}}
	case cmd.outcome.rejected:
		return value(append([]string{"rejected"}, cmd.outcome.messages...))
	case s.config.dialect == Observed:
		return value([]string{"succeeded"})
	}
	return value(cmd.outcome.messages)
}

// statusWait takes a call out of the rate limit. If the limit allows none now, it
// takes nothing and returns how long to wait.
func (s *state) statusWait() time.Duration {
	if s.status == nil {
		return 0
	}
	place := s.status.Reserve()
	wait := place.Delay()
	if wait > 0 {
		place.Cancel()
	}
	return wait
}
