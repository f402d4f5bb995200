// Package permission opens files that only root may be able to write to: farms, lists, the state directory, API keys.
// It reports each user, and each directory on the way to a file, that could change them.
//
// The package knows paths, owners, modes and access control lists. It does not know the content of files.
//
// permission.go (Check) collects the findings. dir.go wraps a directory so that each file is checked on the descriptor
// that it is read from; info.go asks for the metadata of plain files without opening them. walk.go resolves a path name
// by name, and follows links itself.
package permission

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/shell"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A Check collects the users other than root who can write to the farms, because the writer of a farm decides which
// rules root loads. As in sshd, directories on the way to a file are checked, too: a user who can rename a directory
// can put another one in its place. The same holds for directories with symlinks on the way.
//
// A read-only mount is checked like any other: it can be read-only for this process alone, as all of /etc is for a
// service with ProtectSystem=strict.
type Check struct {
	off      bool // no checks: the process is not root, and loads nothing
	severity diag.Severity
	dirs     []*checkedDir

	mu           sync.Mutex
	seen         map[inode]diag.Diagnostic
	refused      map[string]bool // paths of untrusted farms and lists
	UntrustedDir bool            // a directory of farms is untrusted, so no farm can be trusted
}

// An inode identifies a file under all its names.
type inode struct{ device, number uint64 }

// New returns an empty collection. If insecure is true, its findings are warnings instead of faults.
func New(insecure bool) *Check {
	p := &Check{off: os.Geteuid() != 0, seen: map[inode]diag.Diagnostic{}, refused: map[string]bool{}}
	if insecure {
		p.severity = diag.Warning
	}
	return p
}

// Dirs returns the directories wrapped so that each file is checked when it is read. A directory of another file
// system than the machine's is not checked.
func (p *Check) Dirs(dirs []farm.Dir) []farm.Dir {
	checked := slices.Clone(dirs)
	for i, d := range dirs {
		if d.FS == os.DirFS(d.Path) {
			dir := &checkedDir{path: d.Path, permissions: p}
			checked[i].FS = dir
			p.dirs = append(p.dirs, dir)
		}
	}
	return checked
}

// Close closes the directories. Files that were opened stay open.
func (p *Check) Close() {
	for _, d := range p.dirs {
		d.close()
	}
}

// directory opens a directory, and checks it and the way to it. If it is untrusted, no farm can be trusted: farms of
// later directories could be overridden by it, or override its own.
func (p *Check) directory(name string) (node, error) {
	found := p.finding()
	n, err := toAbsolute(name, found.way)
	if err != nil {
		return n, err
	}
	if !n.isDirectory() {
		n.close()
		return node{}, unix.ENOTDIR
	}
	found.file(name, n)
	p.add(found, "")
	return n, nil
}

// add adds the findings about the file of a farm or list; of is its path, or "" for a directory of farms.
func (p *Check) add(found *finding, of string) {
	if len(found.writable) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range found.writable {
		if _, diagnostics := p.seen[w.inode]; !diagnostics {
			p.seen[w.inode] = w.diagnostic
		}
		switch {
		case p.severity != diag.Fault:
		case of == "":
			p.UntrustedDir = true
		default:
			p.refused[strings.TrimSuffix(of, ".d")] = true // a directory of drop-ins stands for its farm
		}
	}
}

// Diagnostics returns the findings sorted by path.
func (p *Check) Diagnostics() diag.Diagnostics {
	var diagnostics diag.Diagnostics
	for _, d := range p.seen {
		diagnostics = append(diagnostics, d)
	}
	slices.SortFunc(diagnostics, func(a, b diag.Diagnostic) int { return cmp.Compare(a.Place.File, b.Place.File) })
	return diagnostics
}

// Refusals returns a fault for each untrusted farm and list. The places of diagnostics can be directories, from which
// --isolate cannot tell the farm.
func (p *Check) Refusals() diag.Diagnostics {
	var faults diag.Diagnostics
	for name := range p.refused {
		faults = append(faults, diag.Diagnostic{Place: diag.Place{File: name}})
	}
	return faults
}

// Open opens a regular file for reading. If users other than root and the user of this process can write to the
// file, or to a directory on the way to it, that is an error, unless insecure is true.
func Open(name string, insecure bool) (*os.File, error) {
	p := New(insecure)
	p.off = false // farmc-api.service is not root, and its file of keys decides who changes farms
	found := p.finding()
	n, err := readNode(name, found.way)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if !n.isRegular() || n.ofKernel() {
		n.close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	found.file(name, n)
	if len(found.writable) > 0 && !insecure {
		n.close()
		d := found.writable[0].diagnostic
		return nil, fmt.Errorf("%s: %s; %s", d.Place, d.Message, d.Hint)
	}
	return n.file(), nil
}

// Dir returns the findings about a directory and the files in it.
func Dir(path string, insecure bool) diag.Diagnostics {
	p := New(insecure)
	defer p.Close()
	dir := &checkedDir{path: path, permissions: p}
	p.dirs = append(p.dirs, dir)
	entries, _ := dir.ReadDir(".")
	for _, entry := range entries {
		_, _ = dir.Stat(entry.Name()) // may be gone by now
	}
	return p.Diagnostics()
}

// A finding lists the files and directories on the way to one file that other users can write to.
type finding struct {
	off      bool
	severity diag.Severity
	writable []writable
}

// A writable is a file or directory that other users can write to.
type writable struct {
	inode      inode
	diagnostic diag.Diagnostic
}

func (p *Check) finding() *finding { return &finding{off: p.off, severity: p.severity} }

// way checks a directory in which a name was looked up. In a directory with the sticky bit only the owner of a file can
// replace it. The owner of a file is checked with the file, the owner of a link here.
func (f *finding) way(directory, next node) {
	sticky := directory.stat.Mode&unix.S_ISVTX != 0
	if !sticky || !trusted(directory.stat.Uid) {
		f.file(directory.path, directory)
		return
	}
	if next.isLink() && !trusted(next.stat.Uid) && othersWrite(directory) {
		f.add(next, next.path, "the user "+UserName(next.stat.Uid)+" may replace the link",
			"chown -h root "+shell.Path(next.path))
	}
}

// othersWrite reports whether users other than the owner can write to a directory.
func othersWrite(directory node) bool { return directory.stat.Mode&0o022 != 0 }

// file checks a file or directory, and reports it under this name.
func (f *finding) file(name string, n node) {
	if n.stat.Mode&unix.S_IFMT == unix.S_IFCHR || n.stat.Mode&unix.S_IFMT == unix.S_IFBLK || f.off {
		return
	}
	if who, hint := writers(name, n); who != "" {
		f.add(n, name, fmt.Sprintf("%s may write to it (mode %04o)", who, n.stat.Mode&0o7777), hint)
	}
}

func (f *finding) add(n node, name, message, hint string) {
	if f.off {
		return
	}
	f.writable = append(f.writable, writable{inode{n.stat.Dev, n.stat.Ino}, diag.Diagnostic{
		Severity: f.severity,
		Place:    diag.Place{File: name},
		Message:  message + ", and so decide which rules root loads",
		Hint:     hint + " # or --insecure-permissions",
	}})
}

// writers returns the users other than root who can write to a file, and the command that ends that.
func writers(name string, n node) (who, hint string) {
	mode := n.stat.Mode
	if mode&0o022 == 0 && trusted(n.stat.Uid) { // nearly all files: the quoted path is needed for the others alone
		return "", ""
	}
	path := shell.Path(name)
	switch {
	case !trusted(n.stat.Uid):
		return "the user " + UserName(n.stat.Uid), "chown root " + path
	case mode&0o002 != 0:
		return "every user", "chmod o-w " + path
	case mode&0o020 != 0 && n.stat.Gid != 0:
		return "the group " + GroupName(n.stat.Gid), "chmod g-w " + path
	case mode&0o020 != 0 && n.hasACL():
		return "a user on its access control list", "setfacl -b " + path
	}
	return "", ""
}

// trusted reports whether a user is root, or the user of this process, if it is another one. In a user namespace, root
// of the machine is among the users without a mapping. All of them appear as the overflow user, so that one is trusted,
// too.
func trusted(uid uint32) bool {
	if uid == 0 || int(uid) == os.Geteuid() {
		return true
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	overflow, _ := os.ReadFile("/proc/sys/fs/overflowuid")
	all := strings.Contains(string(users), "4294967295")
	return err == nil && !all && strconv.Itoa(int(uid)) == strings.TrimSpace(string(overflow))
}

// hasACL reports whether a file has an access control list. The mode's group bits are then an upper bound of its
// rights. A descriptor opened with O_PATH cannot be asked, so the file is reached through /proc/self/fd.
func (n node) hasACL() bool {
	const list = "system.posix_acl_access"
	size, err := unix.Fgetxattr(n.fd, list, nil)
	if err == unix.EBADF {
		size, err = unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", n.fd), list, nil)
	}
	return err == nil && size > 0
}

// UserName gives the name of a user, or the number if there is none.
func UserName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// GroupName gives the name of a group, or the number if there is none.
func GroupName(gid uint32) string {
	id := strconv.Itoa(int(gid))
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
