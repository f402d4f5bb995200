package probe

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
)

// maxFile is the number of bytes of a file of type file.
const maxFile = 4096

// file judges a backend by the first word of a file: "up" is healthy, "down" is not, and a number from 0 to 100 is a
// share of the weight. An empty file is healthy, and a missing one is not. Other words are unhealthy, and never shown:
// a farm can name any file.
func (c *check) file() Result {
	content, err := readRegular(c.Check.File, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unhealthy("no such file")
	case err != nil:
		return unknown("file: %s", err)
	}
	words := strings.Fields(string(content))
	if len(words) == 0 {
		return healthy("file is there")
	}
	return fileSays(words[0])
}

func fileSays(word string) Result {
	switch word {
	case "up":
		return healthy("file says up")
	case "down":
		return unhealthy("file says down")
	}
	percent, err := strconv.Atoi(strings.TrimSuffix(word, "%"))
	if err != nil || percent < 0 || percent > 100 {
		return unhealthy(`file says neither "up" nor "down" nor 0 to 100`)
	}
	r := healthy("file says %d percent", percent)
	r.Percent = percent
	return r
}
