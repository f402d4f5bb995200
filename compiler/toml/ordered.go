package toml

// A dictionary leads from keys to values, and keeps the order in which keys came. The zero dictionary is empty. Most of
// a farm's tables have a handful of keys, which are found sooner one by one than by a map, and take less memory.
type dictionary[V any] struct {
	keys   []string
	values []V
	places map[string]int // of more than a few
}

// few is how many keys are looked for one by one.
const few = 32

func (d *dictionary[V]) place(key string) int {
	if d.places != nil {
		if i, ok := d.places[key]; ok {
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
	if i := d.place(key); i >= 0 {
		return d.values[i], true
	}
	return v, false
}

func (d *dictionary[V]) has(key string) bool { return d.place(key) >= 0 }

// room makes room for so many keys, at first.
func (d *dictionary[V]) room(keys int) {
	d.keys, d.values = make([]string, 0, keys), make([]V, 0, keys)
}

func (d *dictionary[V]) put(key string, v V) {
	if i := d.place(key); i >= 0 {
		d.values[i] = v
		return
	}
	if d.keys == nil {
		d.room(few / 2)
	}
	d.keys, d.values = append(d.keys, key), append(d.values, v)
	switch n := len(d.keys); {
	case d.places != nil:
		d.places[key] = n - 1
	case n > few:
		d.places = make(map[string]int, 2*n)
		for i, k := range d.keys {
			d.places[k] = i
		}
	}
}
