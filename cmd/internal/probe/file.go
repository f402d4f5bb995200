package probe

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
)

// maxFile is the number of bytes of a file of type file.
const maxFile = 4096

// file judges a backend by a file: without the file it is unhealthy. An empty file and "up" are healthy, "down" is not,
// and a number from 0 to 100 is a share of the weight. Other content is unhealthy, and never shown: a farm can name any
// file.
func (c *check) file() Result {
	content, err := readRegular(c.Check.File, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unhealthy("no such file")
	case err != nil:
		return unknown("file: %s", err)
	}
	return fileSays(strings.TrimSpace(string(content)))
}

func fileSays(text string) Result {
	switch text {
	case "", "up":
		return healthy("file is there")
	case "down":
		return unhealthy("file says down")
	}
	percent, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || percent < 0 || percent > 100 {
		return unhealthy(`file says neither "up" nor "down" nor 0 to 100`)
	}
	r := healthy("file says %d percent", percent)
	r.Percent = percent
	return r
}
