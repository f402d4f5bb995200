package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

var pageTitle = regexp.MustCompile(`\A# ([a-z.-]+)\(([1-8])\)\n`)

// sectionTitles are the names of the sections, which stand at the head of a page.
var sectionTitles = map[string]string{"1": "User Commands", "5": "File Formats", "7": "Miscellaneous"}

// keysLine is the line of farms.d(5) that the keys replace. In the repository it links to their source.
const keysLine = "[All keys: farms.d/reference.toml](../../farms.d/reference.toml)\n"

// render gives the roff of a page.
func render(page, keys string) string {
	page = strings.Replace(page, keysLine, keys, 1)
	page = pageTitle.ReplaceAllStringFunc(page, func(line string) string {
		at := pageTitle.FindStringSubmatch(line)
		return fmt.Sprintf("# %s %s \"\" \"farmc\" \"%s\"\n", strings.ToUpper(at[1]), at[2], sectionTitles[at[2]])
	})
	return hyphens(roffLayout.Replace(string(md2man.Render([]byte(page)))))
}

// roffLayout indents code, and keeps words whole and lines ragged: names of keys stay as they are typed. go-md2man asks
// for no hyphenation before .TH, which groff 1.22.4 forgets at .TH.
var roffLayout = strings.NewReplacer(
	"\n.EX\n", "\n.PP\n.RS 4\n.EX\n",
	"\n.EE\n", "\n.EE\n.RE\n",
	"\n.SH NAME", "\n.nr HY 0\n.nh\n.ad l\n.SH NAME",
)

var anyHyphen = regexp.MustCompile(`\\?-`)

// hyphens makes each hyphen of the text one that groff neither breaks a line at nor prints as another character.
func hyphens(roff string) string {
	lines := strings.Split(roff, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, ".") {
			lines[i] = anyHyphen.ReplaceAllString(line, `\-`)
		}
	}
	return strings.Join(lines, "\n")
}
