# For people. `make quickstart` and `make test` need nothing done before on Debian 12.
BUILD := build/release
PRESET := release

.PHONY: quickstart test bench build packages clean

quickstart: build
	$(BUILD)/bin/train recipes/vit_digits.yaml

test: quickstart
	ctest --test-dir $(BUILD) --output-on-failure

bench: build
	$(BUILD)/bin/bench_step --model vit_small --batch 16 --dtype f32
	$(BUILD)/bin/bench_step --model vit_small --batch 16 --dtype bf16
	$(BUILD)/bin/bench_step --embed-dim 192 --depth 6 --num-heads 3 --img-size 32 --patch-size 4 --batch 128 --dtype f32

build: packages
	cmake --preset $(PRESET) >/dev/null
	cmake --build --preset $(PRESET)

packages:
	@tools/install_packages.sh

clean:
	rm -rf build
