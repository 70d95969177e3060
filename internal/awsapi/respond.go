package awsapi

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// respond writes the reply, or the failure if err is not nil, and the line in
// the log.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, x *exchange, body []byte, err error) {
	status, level := http.StatusOK, slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("action", x.action),
		slog.String("access_key", claimed(x.identity.AccessKeyID)),
		slog.Bool("authenticated", x.verified),
		slog.String("request_id", x.requestID),
	}
	if err != nil {
		e := faultOf(err)
		var code string
		code, status, body = x.protocol.fail(x, w.Header(), e)
		attrs = append(attrs, slog.String("code", code))
		if e.Err != nil {
			attrs = append(attrs, slog.String("cause", e.Err.Error()))
		}
		if status >= 500 && r.Context().Err() == nil { // else the client is gone, and with it the reason
			level = slog.LevelError
		}
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, POST")
		}
	}

	h := w.Header()
	h.Set("Content-Type", x.protocol.contentType())
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Date", s.config.Now().UTC().Format(http.TimeFormat)) // SDKs mend their clock skew by it
	h["x-amzn-RequestId"] = []string{x.requestID}               // in the case that AWS writes
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone is no concern of ours

	attrs = append(attrs, slog.Int("status", status), slog.Duration("duration", time.Since(x.started)))
	s.config.Logger.LogAttrs(r.Context(), level, "api request", attrs...)
}
