package compiler

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"farmc/compiler/diag"
)

// A Memory compiles again and again, and reads only what has changed since: of ten thousand farms one, mostly. The zero
// Memory has read nothing yet. It is not for use by several goroutines at once.
type Memory struct {
	farms map[string]*farmReading
	lists map[string]listReading
}

// A farmReading is what a farm's files came to.
type farmReading struct {
	of   farmFiles
	farm *service // nil if there is nothing to go by
	told diag.Diagnostics
}

// A listReading is what a list's file came to.
type listReading struct {
	of   file
	list *addressList
	told diag.Diagnostics
}

// readLists reads the lists, and says whether one differs from what it was or was not there.
func (m *Memory) readLists(files []file, told *diag.Diagnostics) (lists map[string]*addressList, changed bool) {
	lists = map[string]*addressList{}
	now := map[string]listReading{}
	for _, f := range files {
		r, known := m.lists[f.name]
		if !known || !r.of.same(f) {
			r, changed = listReading{of: f}, true
			r.list = parseList(f, &r.told)
		}
		now[f.name], lists[f.name] = r, r.list
		*told = append(*told, r.told...)
	}
	changed = changed || len(now) != len(m.lists)
	m.lists = now
	return lists, changed
}

// readFarms reads the farms, as many at once as there are processors.
func (m *Memory) readFarms(files []farmFiles, lists map[string]*addressList, listsChanged bool, told *diag.Diagnostics) []*service {
	readings := make([]*farmReading, len(files))
	atOnce(len(files), func(i int) {
		r, known := m.farms[files[i].name]
		if !known || !r.of.same(files[i]) || listsChanged && files[i].mayNameList() {
			r = &farmReading{of: files[i]}
			if f := parseFarm(files[i], lists, &r.told); f != nil {
				r.farm = newService(f)
			}
			if !r.told.Faulty() {
				r.farm.prepare()
			}
		}
		readings[i] = r
	})
	m.farms = make(map[string]*farmReading, len(files))
	var farms []*service
	for _, r := range readings {
		m.farms[r.of.name] = r
		*told = append(*told, r.told...)
		if r.farm != nil {
			farms = append(farms, r.farm)
		}
	}
	return farms
}

// atOnce does something for each number below n, as many at once as there are processors.
func atOnce(n int, do func(i int)) {
	var next atomic.Int64
	var doing sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		doing.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	doing.Wait()
}

func (f farmFiles) same(other farmFiles) bool {
	return f.main.same(other.main) && slices.EqualFunc(f.dropIns, other.dropIns, file.same)
}

func (f file) same(other file) bool {
	return f.path == other.path && f.lenient == other.lenient && bytes.Equal(f.text, other.text)
}

// mayNameList says whether a list can be named in the files: its name begins with '@', however that is written.
func (f farmFiles) mayNameList() bool {
	return slices.ContainsFunc(append(f.dropIns[:len(f.dropIns):len(f.dropIns)], f.main), func(f file) bool {
		return bytes.ContainsAny(f.text, `@\`)
	})
}
