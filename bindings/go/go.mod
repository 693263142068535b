module github.com/libx402/libx402/bindings/go

go 1.21
