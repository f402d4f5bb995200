package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"farmc/compiler"

	"golang.org/x/sys/unix"
)

// distrust tells what of the farms somebody else may write to, where this is root: whoever writes a farm says what
// root loads. As sshd does, it looks at the way to the files, too, as who may rename a directory may put another one in
// its place. It is a warning where that was asked for.
func (e *Engine) distrust(s *Sources) compiler.Diagnostics {
	if os.Geteuid() != 0 {
		return nil
	}
	d := distrust{seen: map[string]bool{}}
	if e.Insecure {
		d.severity = compiler.Warning
	}
	for _, dir := range e.Dirs {
		d.directory(dir.Path)
	}
	for _, p := range s.paths() {
		if above := path.Dir(p); strings.HasSuffix(above, ".toml.d") {
			d.file(above)
		}
		if f := s.files[p]; f.state != (fileState{}) && !f.link {
			d.judge(p, f.state)
		} else {
			d.file(p)
		}
	}
	return d.told
}

// distrustStore tells the same of the state directory: what is kept there is loaded again.
func (e *Engine) distrustStore() compiler.Diagnostics {
	if os.Geteuid() != 0 {
		return nil
	}
	d := distrust{seen: map[string]bool{}}
	if e.Insecure {
		d.severity = compiler.Warning
	}
	d.directory(e.Store.Dir)
	entries, _ := os.ReadDir(e.Store.Dir)
	for _, entry := range entries {
		d.file(filepath.Join(e.Store.Dir, entry.Name()))
	}
	return d.told
}

// lock locks the store, as Store.Lock does, if what is kept there is to be trusted. It is no fault of the farms, so it
// isn't told as one: whoever watches tries again until it is mended.
func (e *Engine) lock(ctx context.Context, waiting func()) (release func(), err error) {
	told := e.distrustStore()
	if !told.Faulty() {
		return e.Store.Lock(ctx, waiting)
	}
	var words []string
	for _, d := range told {
		words = append(words, fmt.Sprintf("%s: %s; %s", d.Place, d.Message, d.Hint))
	}
	return nil, errors.New("state directory: " + strings.Join(words, "\n"))
}

// distrust looks at each path once.
type distrust struct {
	severity compiler.Severity
	told     compiler.Diagnostics
	seen     map[string]bool
}

// directory looks at a directory of farms, and at the way there; one that isn't there is nobody's.
func (d *distrust) directory(name string) {
	if d.seen[name] {
		return
	}
	d.seen[name] = true
	real, err := filepath.EvalSymlinks(name)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err == nil {
		d.seen[real] = true
		d.look(name, false)
		d.way(name)
		d.way(real)
	}
}

// file looks at what lies in a directory of farms; if that is a link, at the way to what it leads to, too.
func (d *distrust) file(name string) {
	info, err := os.Lstat(name)
	if err != nil || d.seen[name] {
		return
	}
	d.seen[name] = true
	if info.Mode()&fs.ModeSymlink != 0 {
		if real, err := filepath.EvalSymlinks(name); err == nil {
			d.way(real)
		}
	}
	d.look(name, false)
}

// way looks at all directories above. In one that is sticky nobody can rename what isn't theirs.
func (d *distrust) way(name string) {
	name, err := filepath.Abs(name)
	for above := filepath.Dir(name); err == nil && !d.seen[above]; above = filepath.Dir(above) {
		d.seen[above] = true
		d.look(above, true)
	}
}

func (d *distrust) look(name string, sticky bool) {
	info, err := os.Stat(name)
	if err != nil || info.Mode()&fs.ModeDevice != 0 || sticky && info.Mode()&fs.ModeSticky != 0 {
		return
	}
	d.judge(name, stateOf(info))
}

// judge tells of a file that looks as if somebody else may write to it.
func (d *distrust) judge(name string, is fileState) {
	who, hint := writers(name, is)
	if who == "" || readOnly(name) {
		return
	}
	d.told = append(d.told, compiler.Diagnostic{
		Severity: d.severity,
		Place:    compiler.Place{File: name},
		Message:  fmt.Sprintf("%s may write to it (mode %04o), and so say what root loads", who, is.mode&0o7777),
		Hint:     fmt.Sprintf("%s; or --insecure-permissions", hint),
	})
}

// writers says who but root may write to a file, and what would end that.
func writers(name string, is fileState) (who, hint string) {
	switch {
	case !trusted(is.user):
		return "the user " + userName(is.user), "chown root " + name
	case is.mode&0o002 != 0:
		return "everybody", "chmod o-w " + name
	case is.mode&0o020 != 0 && is.group != 0:
		return "the group " + groupName(is.group), "chmod g-w " + name
	case is.mode&0o020 != 0 && hasACL(name):
		return "somebody on its access control list", "setfacl -b " + name
	}
	return "", ""
}

// trusted are root, and in a user namespace whoever is nobody there: root of the machine is among those.
func trusted(uid uint32) bool {
	if uid == 0 {
		return true
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	overflow, _ := os.ReadFile("/proc/sys/fs/overflowuid")
	return err == nil && !strings.Contains(string(users), "4294967295") && strconv.Itoa(int(uid)) == strings.TrimSpace(string(overflow))
}

// hasACL says whether others than owner and group have rights; the bits of the group are all that they may have.
func hasACL(name string) bool {
	n, err := unix.Getxattr(name, "system.posix_acl_access", nil)
	return err == nil && n > 0
}

// readOnly says whether nobody can write there at all, as to a volume of Kubernetes, whose directories have all rights.
func readOnly(name string) bool {
	var about unix.Statfs_t
	return unix.Statfs(name, &about) == nil && about.Flags&unix.ST_RDONLY != 0
}

func userName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.Itoa(int(gid))
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
