// Prints src/module/unicode-tables.ts from the unicode package of the Go that runs it:
//
//	go run ./test/module/unicode/tables.go > src/module/unicode-tables.ts
package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

func enc(in func(rune) bool) string {
	var sb strings.Builder
	prev := rune(0)
	state := false
	for r := rune(0x80); r <= 0x110000; r++ {
		x := r < 0x110000 && in(r)
		if x != state {
			if sb.Len() > 0 {
				sb.WriteByte(' ')
			}
			sb.WriteString(strconv.FormatInt(int64(r-prev), 36))
			prev = r
			state = x
		}
	}
	return sb.String()
}

func wrap(s string) string {
	var out []string
	for len(s) > 0 {
		n := 106
		if n > len(s) {
			n = len(s)
		} else {
			for s[n-1] != ' ' {
				n--
			}
		}
		out = append(out, "  '"+s[:n]+"'")
		s = s[n:]
	}
	return strings.Join(out, " +\n")
}

func main() {
	// The representative of a folding orbit is the smallest code point in it, in lower case if it is an ASCII letter.
	type pair struct{ a, b rune }
	var ps []pair
	for r := rune(0); r <= unicode.MaxRune; r++ {
		m := r
		for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
			if x < m {
				m = x
			}
		}
		if 'A' <= m && m <= 'Z' {
			m += 32
		}
		if m != r {
			ps = append(ps, pair{r, m})
		}
	}
	// Each run has the gap to its start, the step (1 or 2), the count, and the difference to the folded code point.
	var runs []string
	prev := rune(0)
	for i := 0; i < len(ps); {
		d := ps[i].b - ps[i].a
		best := 1
		step := rune(1)
		for _, st := range []rune{1, 2} {
			j := i + 1
			for j < len(ps) && ps[j].a == ps[j-1].a+st && ps[j].b-ps[j].a == d {
				j++
			}
			if j-i > best {
				best = j - i
				step = st
			}
		}
		runs = append(runs, strconv.FormatInt(int64(ps[i].a-prev), 36)+","+strconv.FormatInt(int64(step), 36)+","+strconv.FormatInt(int64(best), 36)+","+strconv.FormatInt(int64(d), 36))
		prev = ps[i].a
		i += best
	}
	fmt.Printf("// Generated from Go's unicode package, Unicode %s, by test/module/unicode/tables.go. Do not edit.\n\n", unicode.Version)
	fmt.Printf("/** unicode.IsLetter outside ASCII: the lengths of alternating gaps and runs, in base 36, from code point 0. */\nexport const LETTERS =\n%s;\n\n", wrap(enc(unicode.IsLetter)))
	fmt.Printf("/** unicode.IsPrint outside ASCII, in the format of LETTERS. */\nexport const PRINTABLE =\n%s;\n\n", wrap(enc(unicode.IsPrint)))
	fmt.Printf("/** Simple folding: runs of `gap,step,count,delta` in base 36. */\nexport const FOLDS =\n%s;\n", wrap(strings.Join(runs, " ")))
}
