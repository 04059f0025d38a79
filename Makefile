# The front door. Each target is a script that can be read and run by itself.
.PHONY: build run test tidy bench conformance fuzz clean

build: ; @scripts/build
run:   ; @scripts/run
test:  ; @tests/run
tidy:  ; @scripts/tidy
bench: ; @bench/proxy/run
conformance: build ; @tests/conformance/autobahn/run && tests/conformance/h2spec
fuzz:  ; @scripts/setup tidy && scripts/fuzz
clean: ; rm -rf build
