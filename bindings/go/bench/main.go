// Command bench URL CALLS makes paid GETs one after the other, as tests/bench/x402_paid.c makes them through x402.h, and
// prints what they cost as one line of JSON.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	x402 "github.com/libx402/libx402/bindings/go"
)

// Calls before the clock starts: connection, caches, whatever is set up lazily. The same as in measure.h.
const warmupCalls = 20

// The first development key that every local chain knows; it holds nothing.
const testKey = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

// cpu is the process's, as measure.h has it.
func cpu() time.Duration {
	const clockProcessCPU = 2
	var now syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPU, uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		fail("clock_gettime: %v", errno)
	}
	return time.Duration(now.Nano())
}

// peakKiB is VmHWM, because ru_maxrss survives exec and so reports the runner's memory where that is larger.
func peakKiB() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail("%v", err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return "-1"
	}
	return fields[0]
}

func call(client *http.Client, url string) int {
	response, err := client.Get(url)
	if err != nil {
		fail("%v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		fail("%v", err)
	}
	payment := x402.PaymentOf(response)
	if response.StatusCode != 200 || payment == nil || payment.Money != x402.MoneyPaid {
		fail("status %d, payment %v", response.StatusCode, payment)
	}
	return len(body)
}

func main() {
	if len(os.Args) != 3 {
		fail("usage: bench URL CALLS")
	}
	calls, err := strconv.Atoi(os.Args[2])
	if err != nil || calls < 1 {
		fail("%s is not a number of calls", os.Args[2])
	}
	payer, err := x402.New(x402.EVMKey(testKey))
	if err != nil {
		fail("%v", err)
	}
	defer payer.Close()
	client := payer.HTTP()
	for i := 0; i < warmupCalls; i++ {
		call(client, os.Args[1])
	}
	bytes, cpuBegun, begun := 0, cpu(), time.Now()
	for i := 0; i < calls; i++ {
		bytes += call(client, os.Args[1])
	}
	cpuUsed, used := cpu()-cpuBegun, time.Since(begun)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(calls) }
	fmt.Printf("{\"iterations\": %d, \"cpu_us_per_call\": %.3f, \"wall_us_per_call\": %.3f, "+
		"\"maxrss_kib\": %s, \"bytes\": %d}\n", calls, us(cpuUsed), us(used), peakKiB(), bytes)
}
