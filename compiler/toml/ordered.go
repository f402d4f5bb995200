package toml

// A dictionary leads from keys to values, and keeps the order in which keys came. The zero dictionary is empty. Most of
// a farm's tables have a handful of keys, which are found sooner one by one than by a map, and take less memory.
type dictionary[V any] struct {
	keys    []string
	values  []V
	indices map[string]int // of more than a few
}

// maxLinear is how many keys are looked for one by one.
const maxLinear = 32

// index is the position of the key in keys and values, -1 if it is absent.
func (d *dictionary[V]) index(key string) int {
	if d.indices != nil {
		if i, ok := d.indices[key]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if k == key {
			return i
		}
	}
	return -1
}

// get gives the value of the key; the zero value if it is absent.
func (d *dictionary[V]) get(key string) V {
	v, _ := d.find(key)
	return v
}

func (d *dictionary[V]) find(key string) (v V, ok bool) {
	if i := d.index(key); i >= 0 {
		return d.values[i], true
	}
	return v, false
}

func (d *dictionary[V]) has(key string) bool { return d.index(key) >= 0 }

// grow makes room for so many keys, at first.
func (d *dictionary[V]) grow(keys int) {
	d.keys, d.values = make([]string, 0, keys), make([]V, 0, keys)
}

func (d *dictionary[V]) put(key string, v V) {
	if i := d.index(key); i >= 0 {
		d.values[i] = v
		return
	}
	if d.keys == nil {
		d.grow(maxLinear / 2)
	}
	d.keys, d.values = append(d.keys, key), append(d.values, v)
	switch n := len(d.keys); {
	case d.indices != nil:
		d.indices[key] = n - 1
	case n > maxLinear:
		d.indices = make(map[string]int, 2*n)
		for i, k := range d.keys {
			d.indices[k] = i
		}
	}
}

// remove removes the keys that the function reports.
func (d *dictionary[V]) remove(isRemoved func(key string) bool) {
	old := *d
	*d = dictionary[V]{}
	d.grow(len(old.keys))
	for i, key := range old.keys {
		if !isRemoved(key) {
			d.put(key, old.values[i])
		}
	}
}
