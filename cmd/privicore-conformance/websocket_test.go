package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/privicore/privicore-go/privicoretest"
)

// relay is a network that changes the messages that the WebSocket proxy sends.
type relay struct {
	*rig
	change func(message string) string
}

func (r *relay) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.rig.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, errors.New("the body of an upgrade cannot be written")
	}
	resp.Body = &frames{ReadWriteCloser: conn, change: r.change}
	return resp, nil
}

// frames reads the frames of a server, which are not masked, one at a time.
type frames struct {
	io.ReadWriteCloser
	change func(message string) string
	rest   []byte // of the frame that is being read
}

func (f *frames) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// next reads a frame. It changes the payload if that is a text.
func (f *frames) next() error {
	head := make([]byte, 2)
	if _, err := io.ReadFull(f.ReadWriteCloser, head); err != nil {
		return err
	}
	size := uint64(head[1])
	if extended := map[uint64]int{126: 2, 127: 8}[size]; extended > 0 {
		length := make([]byte, 8)
		if _, err := io.ReadFull(f.ReadWriteCloser, length[8-extended:]); err != nil {
			return err
		}
		size = binary.BigEndian.Uint64(length)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(f.ReadWriteCloser, payload); err != nil {
		return err
	}
	if head[0]&0xf == 1 {
		payload = []byte(f.change(string(payload)))
	}
	frame := bytes.NewBuffer([]byte{head[0], 127})
	_ = binary.Write(frame, binary.BigEndian, uint64(len(payload)))
	f.rest = append(frame.Bytes(), payload...)
	return nil
}

func TestFindsWhatDiffersOnTheWebSocket(t *testing.T) {
	t.Parallel()
	const approved = `"body":"device.device_approved"`
	for name, c := range map[string]struct {
		change func(message string) string
		wrong  []string
		says   string
	}{
		"a field of an acknowledgement": {
			func(m string) string {
				return strings.ReplaceAll(m, approved, `"text":"device.device_approved"`)
			},
			[]string{"Device.Approve"}, "body of the acknowledgement is missing; there is text (text)",
		},
		"the type of a status": {
			func(m string) string {
				return strings.ReplaceAll(m, `"command_status":2,`+approved, `"command_status":"2",`+approved)
			},
			[]string{"Device.Approve"}, "command_status is text, not a number",
		},
		"a failure of what succeeded": {
			func(m string) string {
				return strings.ReplaceAll(m, `"command_status":2,`+approved, `"command_status":3,`+approved)
			},
			[]string{"Device.Approve", "Device.Configuration", "Device.DownloadConfiguration"}, "the command is rejected",
		},
		"the context of the data": {
			func(m string) string { return strings.ReplaceAll(m, `"data_context"`, `"dataContext"`) },
			[]string{"DataToken.Request", "DataToken.Download"}, "data_context of the announcement is missing",
		},
		"the answer to a join": {
			func(m string) string { return strings.ReplaceAll(m, `"channelId"`, `"channel"`) },
			nil, "channelId of data is missing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, privicoretest.Documented)
				s := r.settings()
				s.network = &relay{r, c.change}
				o := conformance(t.Context(), s)
				assert.Equal(t, exitDiffers, o.code)
				assert.Subset(t, o.wrong(), c.wrong, o.text)
				if !strings.Contains(name, "failure") {
					assert.Len(t, o.wrong(), len(c.wrong), o.explained())
				}
				assert.Contains(t, o.text, c.says)
				assert.Empty(t, r.left(t))
			})
		})
	}
}

func TestRefusedJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Documented)
		r.server.RefuseJoins(1000, http.StatusTeapot)
		o := conformance(t.Context(), r.settings())
		assert.Equal(t, exitDiffers, o.code)
		assert.Contains(t, o.text, "joinChannel is refused with status 418")
		assert.Contains(t, o.text, "Joining and leaving: differs")
	})
}

func TestRefusedHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Documented)
		r.server.RefuseConnections(1000, http.StatusBadGateway)
		o := conformance(t.Context(), r.settings())
		assert.Equal(t, exitDiffers, o.code)
		assert.Contains(t, o.text, "the handshake is answered with 502")
		assert.Contains(t, o.text, "Joining and leaving: not reachable")
	})
}

// Recorded clients leave a channel by its id instead of the token.
func TestLeavesByID(t *testing.T) {
	t.Parallel()
	absent := regexp.MustCompile(`"status":404,"data":\{[^}]*\}`)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Observed)
		s := r.settings()
		s.network = &relay{r, func(m string) string {
			if strings.Contains(m, "Successfully left") {
				return strings.Replace(m, `"status":200`, `"status":422`, 1)
			}
			return absent.ReplaceAllString(m, `"status":200,"data":{"channelId":"1","message":"Successfully left profile channel."}`)
		}}
		o := conformance(t.Context(), s)
		assert.Equal(t, exitConfirmed, o.code, o.text)
		assert.Contains(t, o.text, "- a channel is not left by the token\n- a channel is left by its id\n")
		assert.Contains(t, o.text, "can join again, and needs no correlationId")
	})
}

// hangingUpgrades is a network over which the proxy never answers a handshake.
type hangingUpgrades struct{ *rig }

func (h hangingUpgrades) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Upgrade") == "" {
		return h.rig.RoundTrip(req)
	}
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestTheProxyHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, privicoretest.Documented)
		s := r.settings()
		s.network = hangingUpgrades{r}
		o, took := bound(t, s)
		assert.Equal(t, exitDiffers, o.code)
		assert.Contains(t, o.text, "the proxy cannot be reached: the time was over")
		assert.Equal(t, []string{"DataToken.Request", "DataToken.Download"}, o.wrong(), o.explained())
		assert.Less(t, took, 15*time.Minute)
	})
}

func TestDroppedConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		drop := at(operationToDropAt, func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			r.server.DropConnections()
			next.ServeHTTP(w, req)
		})
		r = newRig(t, privicoretest.Documented, drop)
		o := conformance(t.Context(), r.settings())
		assert.Equal(t, exitConfirmed, o.code, o.explained())
	})
}
