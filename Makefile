# For people. Each target needs nothing done before on Debian 12. PRESET=dev builds in build/dev; CMAKE_ARGS goes to
# cmake's configuration.
PRESET := release
CMAKE_ARGS :=
BUILD = build/$(PRESET)
CONFIGURE = cmake --preset $(PRESET) $(CMAKE_ARGS) >/dev/null

.PHONY: quickstart build test bench clean

# Builds no more than training needs.
quickstart:
	@tools/install_packages.sh
	$(CONFIGURE) -DVITRAIL_BUILD_TESTS=OFF
	@begin=$$(date +%s); cmake --build $(BUILD) --target train && echo "built in $$(($$(date +%s) - begin)) s"
	$(BUILD)/bin/train recipes/vit_digits.yaml

# All programs, in build/release/bin.
build:
	@tools/install_packages.sh
	$(CONFIGURE) -DVITRAIL_BUILD_TESTS=OFF
	cmake --build $(BUILD)

# All programs, and all tests. Two tests share the cores: a thread that waits for another one sleeps.
test:
	@tools/install_packages.sh doctest-dev libopenmpi-dev openmpi-bin
	$(CONFIGURE) -DVITRAIL_BUILD_TESTS=ON
	cmake --build $(BUILD)
	OMP_WAIT_POLICY=passive ctest --test-dir $(BUILD) --output-on-failure --parallel 2

bench: build
	bench/tables.sh

clean:
	rm -rf build
