// Command oracle prints, for each URL of its standard input, the forward proxy that the net/http package of Go uses for
// it, or "direct". The proxies come from the environment.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		u, err := url.Parse(lines.Text())
		if err != nil {
			fmt.Println(err)
			continue
		}
		proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
		switch {
		case err != nil:
			fmt.Println(err)
		case proxy == nil:
			fmt.Println("direct")
		default:
			fmt.Println(proxy.Host)
		}
	}
}
