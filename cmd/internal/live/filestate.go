package live

import (
	"io/fs"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A fileState is what the kernel tells of a file without it being read.
type fileState struct {
	device, inode     uint64
	size              int64
	mode, user, group uint32
	written, changed  syscall.Timespec

	known bool // a file that looks the same is the same
}

// stateOf gives the zero state of what no kernel told.
func stateOf(info fs.FileInfo) fileState {
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{}
	}
	return fileState{device: of.Dev, inode: of.Ino, size: of.Size, mode: of.Mode, user: of.Uid, group: of.Gid, written: of.Mtim, changed: of.Ctim}
}

// coarsest is how far apart two changes of a file can be that give it the same time: its file system may keep whole
// seconds, even ones alone, and the clock that it goes by is some milliseconds late.
const coarsest = 2 * time.Second

// rested says whether a change of the file from then on gives it another time of change (ctime, which no program can
// set). A file that was changed just before (git calls it racily clean) may have been read before the last change of
// that moment, and look the same after it. Where the clock was set back that holds until it has caught up.
func (s fileState) rested(then time.Time) bool {
	return s.inode != 0 && then.Sub(time.Unix(s.changed.Unix())) > coarsest
}

// clocked are the file systems that go by this machine's clock, and need not ask another one how a file looks.
var clocked = []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
	unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC}

// isClocked says whether a file is on one of these.
func isClocked(path string) bool {
	var about unix.Statfs_t
	return unix.Statfs(path, &about) == nil && slices.Contains(clocked, uint32(about.Type))
}
