// Prints every event but those of CI. Alone: PORT=9004 go run everything.go
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		size, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError) // tried again
			return
		}
		fmt.Printf("%s from %s, %d bytes\n", r.Header.Get("ce-type"), r.Header.Get("ce-source"), size)
		w.WriteHeader(http.StatusNoContent)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "9004"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
