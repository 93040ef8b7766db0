# For people. `make quickstart` and `make test` need nothing done before on Debian 12.
BUILD := build/release
PRESET := release

.PHONY: quickstart test bench build packages clean

quickstart: build
	$(BUILD)/bin/train recipes/vit_digits.yaml

test: quickstart
	ctest --test-dir $(BUILD) --output-on-failure

bench: build
	bench/tables.sh

build: packages
	cmake --preset $(PRESET) >/dev/null
	cmake --build --preset $(PRESET)

packages:
	@tools/install_packages.sh

clean:
	rm -rf build
