// Go: it asks Vigie about each token, so logged out means logged out.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

var vigie = &http.Client{Timeout: 5 * time.Second}

type user struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type"`
	Subject   string `json:"sub"`
	Name      string `json:"username"`
	Role      string `json:"role"`
	Session   string `json:"sid"`
}

func introspect(token string) (user, error) {
	var found user
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	request, err := http.NewRequest("POST", os.Getenv("VIGIE_URL")+"/oauth/introspect", form)
	if err != nil {
		return found, err
	}
	request.SetBasicAuth(os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := vigie.Do(request)
	if err != nil {
		return found, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return found, fmt.Errorf("introspection: %s", answer.Status)
	}
	err = json.NewDecoder(answer.Body).Decode(&found)
	return found, err
}

func who(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	found, err := introspect(token)
	if err != nil {
		// Nothing was decided: nobody is let in, and nobody is told to log in again.
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	// A refresh token has no type. It is no access token, although this client may be told that it is active.
	if !found.Active || found.TokenType != "Bearer" {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	told := map[string]string{"user": found.Subject, "name": found.Name, "role": found.Role, "session": found.Session}
	json.NewEncoder(w).Encode(told)
}

func main() {
	http.HandleFunc("/", who)
	http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)
}
