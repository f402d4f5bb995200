package checker

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Word is the verdict about a backend on its way to farmc watch.
type Word struct {
	Name
	Healthy   bool
	Percent   int // of the weight, 0 to 100
	Reason    string
	Took      time.Duration // of the last check
	Next      time.Duration // to the next one
	Late      time.Duration // by which checks started at most, since the word before
	Flaps     bool          // the backend stays out for some time because it failed several times
	For       time.Duration // the word lapses after this time
	Withdrawn bool          // the backend has no check any more

	patience time.Duration // in which backends that failed at the same moment turn as well; 0: the word goes at once
}

// A Listener is farmc watch, as a Speaker sees it.
type Listener interface {
	// Say gives words to farmc watch. It returns the errors of words that are not in force, by the indexes of the
	// words, or one error if farmc watch took none.
	Say(ctx context.Context, words []Word) (refused map[int]error, err error)
}

// A Speaker says words: many at once, the last one about each backend, and all of them anew after farmc watch was away.
type Speaker struct {
	listen Listener
	log    func(format string, args ...any)
	wave   *wave

	mu      sync.Mutex
	known   map[Name]Word // the last words
	pending map[Name]Word // of the known ones, the words to say
	news    chan struct{} // has an item if there are pending words
	held    time.Time     // pending words can wait until then for those of a wave

	away    bool          // the last request failed
	failing map[Name]bool // the last words about these backends were refused
}

// Times of a Speaker.
const (
	batchTime  = 50 * time.Millisecond // to collect words after the first one
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	retryTime  = time.Second      // to the next attempt with a word that was refused
	sayTime    = 70 * time.Second // the API ends a request after a minute; a load of 9,000 words can take half of it
)

// maxWords is the number of words in a request.
const maxWords = 10_000

func newSpeaker(l Listener, log func(format string, args ...any)) *Speaker {
	return &Speaker{listen: l, log: log, wave: &wave{}, known: map[Name]Word{}, pending: map[Name]Word{},
		news: make(chan struct{}, 1), failing: map[Name]bool{}}
}

// say says a word soon. It never waits.
func (s *Speaker) say(w Word) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[w.Name], s.pending[w.Name] = w, w
	if w.patience > 0 && s.held.IsZero() {
		s.held = time.Now().Add(w.patience)
	}
	s.wake()
}

// withdraw takes back the word about a backend.
func (s *Speaker) withdraw(n Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, said := s.known[n]; said {
		delete(s.known, n)
		s.pending[n] = Word{Name: n, Withdrawn: true}
		s.wake()
	}
}

func (s *Speaker) wake() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// run says words until ctx is done.
func (s *Speaker) run(ctx context.Context) {
	pause := time.Duration(0)
	for sleep(ctx, s.news, batchTime) && s.gather(ctx) {
		words := s.take()
		if len(words) == 0 {
			continue
		}
		refused, err := s.ask(ctx, words)
		if ctx.Err() != nil {
			return
		}
		if pause = s.note(words, refused, err, pause); pause > 0 && !sleep(ctx, nil, pause) {
			return
		}
	}
}

// sleep waits for news, if there is a channel, and then for a time. It returns false when ctx is done.
func sleep(ctx context.Context, news <-chan struct{}, long time.Duration) bool {
	if news != nil {
		select {
		case <-ctx.Done():
			return false
		case <-news:
		}
	}
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// gather waits for the other words of a wave. It returns false when ctx is done.
func (s *Speaker) gather(ctx context.Context) bool {
	s.mu.Lock()
	until := s.held
	s.mu.Unlock()
	if !s.wave.isHigh() {
		return true
	}
	for !s.wave.isOver() && time.Now().Before(until) {
		if !sleep(ctx, nil, batchTime) {
			return false
		}
	}
	return true
}

// take takes pending words.
func (s *Speaker) take() (words []Word) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = time.Time{}
	for name, w := range s.pending {
		if len(words) == maxWords {
			s.wake()
			break
		}
		delete(s.pending, name)
		words = append(words, w)
	}
	return words
}

func (s *Speaker) ask(ctx context.Context, words []Word) (refused map[int]error, err error) {
	within, cancel := context.WithTimeout(ctx, sayTime)
	defer cancel()
	return s.listen.Say(within, words)
}

// note keeps the words that are not in force for another attempt, and returns the pause before the next request.
func (s *Speaker) note(words []Word, refused map[int]error, err error, pause time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if !s.away {
			s.log("farmc watch takes no words; checks go on: %v", err)
		}
		s.away = true
		s.restore(words)
		return min(max(2*pause, firstPause), maxPause)
	}
	if s.away {
		s.log("farmc watch takes words again")
		s.away = false
		s.sayAll()
	}
	s.noteRefused(words, refused)
	return 0
}

// restore makes words pending again, unless there are newer ones.
func (s *Speaker) restore(words []Word) {
	for _, w := range words {
		if _, newer := s.pending[w.Name]; !newer {
			s.pending[w.Name] = w
		}
	}
	s.wake()
}

// sayAll makes the last words about all backends pending: farmc watch may have lost them.
func (s *Speaker) sayAll() {
	for name, w := range s.known {
		s.pending[name] = w
	}
	s.wake()
}

// noteRefused logs words that were refused, and says them again later.
func (s *Speaker) noteRefused(words []Word, refused map[int]error) {
	var again []Word
	for i, w := range words {
		err := refused[i]
		if err == nil || w.Withdrawn {
			delete(s.failing, w.Name)
			continue
		}
		if !s.failing[w.Name] && !errors.Is(err, ErrUnknown) {
			s.log("%s: the word is not in force: %v", w.Name, err)
		}
		s.failing[w.Name] = true
		again = append(again, w)
	}
	if len(again) > 0 {
		time.AfterFunc(retryTime, func() { s.sayAgain(again) })
	}
}

// ErrUnknown is the error for a word about a backend that farmc watch does not know. The next look at the farms ends
// its check.
var ErrUnknown = errors.New("there is no such backend")

// sayAgain makes words pending that are still the last ones about their backends.
func (s *Speaker) sayAgain(words []Word) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range words {
		if s.known[w.Name] == w {
			s.pending[w.Name] = w
			s.wake()
		}
	}
}
