package farm

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"farmc/compiler/diag"
)

// A Cache reads farms again and again, and parses only the files that changed since the last time. The zero Cache has
// read nothing yet. It is not for use by several goroutines at once.
type Cache struct {
	farms map[string]*Reading
	order []*Reading // the same, by name
	lists map[string]listReading

	defaults map[string]*defaults // by the path of their file
	answers  Answers

	files source // of the last Read
	clean bool   // its files could be read, and their names are right
	reads int
}

// A listReading is the result of reading a list's file.
type listReading struct {
	file   file
	list   *AddressList
	faults diag.Diagnostics
}

// Read reads the farms in dirs, which go from low to high precedence. It gives the farms by name, also the ones with
// faults. A farm is the same pointer as the last time if its files, and the lists that it may name, have not changed.
func (c *Cache) Read(dirs []Dir, faults *diag.Diagnostics) []*Farm {
	before := len(*faults)
	files := read(dirs, faults)
	c.clean = len(*faults) == before
	return c.parse(files, faults)
}

// Reads counts the calls of Read, and those of ReadAgain that succeed.
func (c *Cache) Reads() int { return c.reads }

// ReadAgain is Read of the same directories after changes of the files of some farms alone, which were there and still
// are. Only these files are read. It returns false, and does nothing, if the whole directories have to be read: a file
// is new in a way that concerns others, or has a fault that Read finds before it parses.
func (c *Cache) ReadAgain(dirs []Dir, names []string, faults *diag.Diagnostics) (farms []*Farm, ok bool) {
	if !c.clean {
		return nil, false
	}
	files := c.files
	files.farms = slices.Clone(files.farms)
	var found diag.Diagnostics
	files.answers = lastAnswers(dirs, &found)
	for _, name := range names {
		own := read(ofOne(dirs, name), &found)
		i := slices.IndexFunc(files.farms, func(f farmFiles) bool { return f.name == name })
		if i < 0 || len(own.farms) != 1 || len(found) > 0 {
			return nil, false
		}
		files.farms[i] = own.farms[0]
	}
	if len(found) > 0 || files.tooLarge() {
		return nil, false
	}
	return c.parse(files, faults), true
}

// parse parses the files that changed since the last time.
func (c *Cache) parse(files source, faults *diag.Diagnostics) []*Farm {
	lists, changed := c.readLists(files.lists, faults)
	c.readDefaults(files, lists, changed, faults)
	farms := c.readFarms(files, lists, changed, faults)
	c.answers, c.files = files.answers, files
	c.reads++
	return farms
}

// readLists reads the lists, and reports whether a list has changed, or is new or gone.
func (c *Cache) readLists(files []file, faults *diag.Diagnostics) (lists map[string]*AddressList, changed bool) {
	lists = map[string]*AddressList{}
	now := map[string]listReading{}
	for _, f := range files {
		r, known := c.lists[f.name]
		if !known || !r.file.same(f) {
			r, changed = listReading{file: f}, true
			r.list = parseList(f, &r.faults)
		}
		now[f.name], lists[f.name] = r, r.list
		*faults = append(*faults, r.faults...)
	}
	changed = changed || len(now) != len(c.lists)
	c.lists = now
	return lists, changed
}

// readDefaults reads the files of defaults, and gives each farm those of its directory. Defaults are the same pointer
// as the last time if their file, and the lists that they may name, have not changed.
func (c *Cache) readDefaults(files source, lists map[string]*AddressList, listsChanged bool, faults *diag.Diagnostics) {
	now := make(map[string]*defaults, len(files.defaults))
	for _, f := range files.defaults {
		d := c.defaults[f.path]
		if d == nil || !d.file.same(f) || listsChanged && mayNameList(f) {
			d = readDefaults(f, lists)
		}
		now[f.path] = d
		*faults = append(*faults, d.faults...)
	}
	c.defaults = now
	if len(now) == 0 {
		return
	}
	for i := range files.farms {
		if of := files.farms[i].defaultsIn(files.defaults); of != nil {
			files.farms[i].defaults = now[of.path]
		}
	}
}

// readFarms reads the farms, in parallel.
func (c *Cache) readFarms(s source, lists map[string]*AddressList, listsChanged bool,
	faults *diag.Diagnostics) []*Farm {
	files, asked := s.farms, changedHosts(c.answers, s.answers)
	readings := make([]*Reading, len(files))
	c.order = readings
	inParallel(len(files), func(i int) {
		r, known := c.farms[files[i].name]
		if !known || !r.files.same(files[i]) || listsChanged && files[i].mayNameList() ||
			r.farm.names(asked) {
			r = &Reading{files: files[i], answers: s.answers}
			if r.parse(lists); r.farm != nil {
				r.size, r.interfaces = r.farm.size(), r.farm.allInterfaces()
			}
		}
		readings[i] = r
	})
	c.farms = make(map[string]*Reading, len(files))
	var farms []*Farm
	for _, r := range readings {
		c.farms[r.files.name] = r
		*faults = append(*faults, r.faults...)
	}
	for _, r := range fitting(readings, faults) {
		farms = append(farms, r.farm)
	}
	return farms
}

// inParallel calls do for each number below n, on all processors. A goroutine for each number would take longer than a
// look at a file that has not changed.
func inParallel(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	workers.Wait()
}

func (f farmFiles) same(other farmFiles) bool {
	return f.defaults == other.defaults && f.main.same(other.main) &&
		slices.EqualFunc(f.dropIns, other.dropIns, file.same)
}

func (f file) same(other file) bool {
	return f.path == other.path && f.lenient == other.lenient && f.earlier == other.earlier &&
		f.broken == other.broken && bytes.Equal(f.text, other.text)
}

// mayNameList reports whether a list can be named in the files. Defaults that name a changed list are new.
func (f farmFiles) mayNameList() bool {
	return mayNameList(f.main) || slices.ContainsFunc(f.dropIns, mayNameList)
}

// mayNameList reports whether a list can be named in a file: its name begins with '@', however that is written.
func mayNameList(f file) bool { return bytes.ContainsAny(f.text, `@\`) }
