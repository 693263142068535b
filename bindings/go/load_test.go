package x402_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	x402 "github.com/libx402/libx402/bindings/go"
)

const (
	together = 256
	// Threads that Go may start meanwhile: OwnThreads, those that take their place, the poller's, the collector's.
	goThreadsMax  = 24
	soakCalls     = 10_000
	growthKiBMax  = 4096 // as much as a page in ten calls; arenas of the allocator come and go
	heapKiBMax    = 512
	soakCallers   = 8
	waitUpTo      = 20 * time.Second
	betweenLooks  = 5 * time.Millisecond
	togetherUpTo  = 2 // times what few calls take
	fewAtOnce     = 16
	libraryThread = "x402-"
)

// goThreads counts the process's threads without the library's.
func goThreads(t *testing.T) (count int) {
	tasks, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil || len(tasks) == 0 {
		t.Fatal("no threads are seen", err)
	}
	for _, task := range tasks {
		name, err := os.ReadFile(task)
		if err == nil && !strings.HasPrefix(string(name), libraryThread) {
			count++
		}
	}
	return count
}

// calls makes so many GETs at once, and returns a function that waits for them.
func calls(t *testing.T, client *x402.Client, url, want string, count int) (wait func()) {
	var all sync.WaitGroup
	for i := 0; i < count; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			response, err := client.HTTP().Get(fmt.Sprintf("%s?%d", url, i))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if text, err := io.ReadAll(response.Body); err != nil || string(text) != want {
				t.Error(response.Status, string(text), err)
			}
		}(i)
	}
	return all.Wait
}

// All are under way before the first is answered, on a handful of Go's threads.
func TestManyAtOnceOnFewThreads(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	before := goThreads(t)
	wait := calls(t, client, url+"/all-held", "held", together)
	for begun := time.Now(); state(t, url).Requests < together; time.Sleep(betweenLooks) {
		if time.Since(begun) > waitUpTo {
			t.Fatal("not all of them are under way: ", state(t, url))
		}
	}
	threads := goThreads(t)
	response, err := http.Post(url+"/_server/release", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	wait()
	t.Logf("%d calls under way on %d threads of Go's; before them there were %d", together, threads, before)
	if threads > before+goThreadsMax {
		t.Errorf("%d threads, and %d before", threads, before)
	}
}

// Calls of 200 ms each take no longer all together than few do.
func TestManyTakeNoLongerThanFew(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	took := func(count int) time.Duration {
		begun := time.Now()
		calls(t, client, url+"/slow", "slow", count)()
		return time.Since(begun)
	}
	few := took(fewAtOnce)
	for try := 0; ; try++ {
		many := took(together)
		t.Logf("%d calls took %v, %d took %v", fewAtOnce, few, together, many)
		if many < togetherUpTo*few {
			return
		}
		if try == 2 {
			t.Fatal("they waited for each other")
		}
	}
}

func TestManyPayAtOnce(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t, x402.Budget("all", 0, "100.00 USD"))
	calls(t, client, url+"/weather", "sunny", 64)()
	if seen := state(t, url); seen.PaymentsSettled != 64 || seen.PaymentsDistinct != 64 {
		t.Error(seen)
	}
}

func openFiles(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// usedKiB is what the process and Go's heap hold once the collector ran.
func usedKiB(t *testing.T) (resident, heap int) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return pages * os.Getpagesize() / 1024, int(stats.HeapAlloc / 1024)
}

// oneCall: a GET, a POST from memory, a streamed POST with progress, and a call that its body stops take turns.
func oneCall(client *x402.Client, url string, number int) error {
	var body io.Reader
	path := "/weather"
	switch number % 4 {
	case 1:
		path, body = "/upload", strings.NewReader(fmt.Sprint("abc ", number))
	case 2:
		path, body = "/upload-late", only{bytes.NewReader(make([]byte, 5000))}
	case 3:
		path, body = "/upload-late", &failing{err: x402.Stop(number)}
	}
	req, err := http.NewRequest("POST", url+path, body)
	if err != nil {
		return err
	}
	if number%4 == 2 {
		req = req.WithContext(x402.WithProgress(req.Context(), func(x402.Progress) error { return nil }))
	}
	response, err := client.HTTP().Do(req)
	if number%4 == 3 {
		var failure *x402.Error
		if !errors.As(err, &failure) || failure.CallbackValue != int32(number) {
			return fmt.Errorf("call %d: %v", number, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if payment := x402.PaymentOf(response); payment == nil || payment.Money != x402.MoneyPaid {
		return fmt.Errorf("call %d: %s, %v", number, response.Status, payment)
	}
	return nil
}

// soak makes calls by several goroutines, on their own threads and through the queue.
func soak(t *testing.T, client *x402.Client, url string, from, to int) {
	var all sync.WaitGroup
	numbers := make(chan int)
	for i := 0; i < soakCallers; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for number := range numbers {
				if err := oneCall(client, url, number); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for number := from; number < to && !t.Failed(); number++ {
		numbers <- number
	}
	close(numbers)
	all.Wait()
}

// Three in four of the calls are paid; nothing is left of them. Under the race detector fewer are made, and memory is not
// looked at, because the detector's own grows.
func TestSoak(t *testing.T) {
	calls := soakCalls
	if raced {
		calls /= 10
	}
	url := serve(t, "--scenario", "testdata/scenario.json")
	filesBefore := openFiles(t)
	client, err := x402.New(x402.EVMKey(testKey), x402.Budget("all", 0, "1000000.00 USD"))
	if err != nil {
		t.Fatal(err)
	}
	warm := calls * 3 / 10
	soak(t, client, url, 0, warm)
	handles, files := x402.LiveHandles(), openFiles(t)
	resident, heap := usedKiB(t)
	soak(t, client, url, warm, calls)
	residentAfter, heapAfter := usedKiB(t)
	t.Logf("%d calls: resident %d and %d KiB more, of Go's heap %d and %d KiB more", calls, resident, residentAfter-resident,
		heap, heapAfter-heap)
	if left := x402.LiveHandles(); left != handles {
		t.Errorf("%d handles, and %d before", left, handles)
	}
	if left := openFiles(t); left > files+soakCallers {
		t.Errorf("%d descriptors, and %d before", left, files)
	}
	if !raced && residentAfter-resident > growthKiBMax {
		t.Errorf("the process grew by %d KiB", residentAfter-resident)
	}
	if !raced && heapAfter-heap > heapKiBMax {
		t.Errorf("Go's heap grew by %d KiB", heapAfter-heap)
	}
	client.Close()
	if left := openFiles(t); left > filesBefore {
		t.Errorf("%d descriptors are left, and %d were there before", left, filesBefore)
	}
	if left := x402.LiveHandles(); left != 0 {
		t.Errorf("%d handles are left", left)
	}
	if seen := state(t, url); seen.PaymentsSettled != calls/4*3 {
		t.Error(seen)
	}
}
