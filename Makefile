# minos-init. "make help" lists the targets.

# A Go that is new enough, fetched when there is none; looked for once, when a
# target needs it. What it starts finds it in PATH.
GOBIN = $(eval GOBIN := $$(or $$(dir $$(shell .ci/go)),$$(error there is no Go to build with)))$(GOBIN)
GO = PATH="$(GOBIN):$$PATH" go
export GOTOOLCHAIN = local

ARCH ?= arm64
INITRAMFS = $(GO) run ./initramfs -arch $(ARCH) -out out/$(ARCH)

.PHONY: help
help:
	@echo 'make run        boot the demo system in QEMU, to its login prompt'
	@echo '                FRESH=1 a new disk, DEBUG=1 the debug image,'
	@echo '                APPEND="…" more words for the kernel command line,'
	@echo '                LAYOUT=slots two slots and U-Boot: that is the default; SLOT=B makes B the'
	@echo '                first, BUNDLE=FILE an update, on a second disk with the label "updates",'
	@echo '                SIZE=8G a larger card, INBOX=DIR files for config/ on its boot partition'
	@echo '                LAYOUT=image a system in a file; NEWIMG=1 a new one, on a second disk'
	@echo '                LAYOUT=tryboot a card for a Raspberry Pi; REBOOT="0 tryboot" a trial of slot B'
	@echo '                LAYOUT=modules a stack of modules on a stick, with a session'
	@echo '                LAYOUT=profiles one base, two systems on top; PROFILE=router the other one'
	@echo 'make bundle     an update for the demo, to be installed by RAUC: OUT=out/demo/update.raucb'
	@echo '                (docs/updates.md)'
	@echo 'make test       everything that has to hold before a change lands'
	@echo 'make test-all   the same, and the stories that take long'
	@echo 'make check      the fast part of it: form, rules, tests without a machine'
	@echo 'make bench      what init costs, beside a floor in C and a shell script (docs/speed.md);'
	@echo '                BENCH_ROUNDS=7 boots of each, BENCH_APPEND="…" more words for the kernel,'
	@echo '                BENCH_LAYOUT=slots|image|tryboot|modules|profiles one layout only'
	@echo 'make torture    cut the power at each write of the boots in qemu/torture/scenarios.go, and'
	@echo '                boot what is left (docs/reliability.md); a run that was interrupted goes on.'
	@echo '                TORTURE="-run reset -cases 20 -j 2": one scenario, a part of its cases'
	@echo 'make fuzz       feed every parser with nonsense, 30 s each; FUZZ="-time 5m -run Table"'
	@echo 'make initramfs  the images: out/ARCH/{init,initramfs.cpio.lz4,initramfs-debug.cpio.lz4},'
	@echo '                and out/ARCH/minosctl, the tool for the device (docs/minosctl.md)'
	@echo '                ARCH=arm64|arm|386|amd64|riscv64, MODULES=…/lib/modules/VERSION,'
	@echo '                (with these also initramfs-shared.cpio.lz4 and modules.cpio.lz4),'
	@echo '                SETS=slots,virtio,mmc,usb,nvme,scsi, EXTRA=module,…, CONFIG=minos.conf'
	@echo 'make clean      remove what was built; downloads stay in the cache of the user'

.PHONY: initramfs
initramfs:
	@$(INITRAMFS) $(if $(MODULES),-modules '$(MODULES)') $(if $(CONFIG),-config '$(CONFIG)') \
		$(if $(SETS),-sets '$(SETS)') $(if $(EXTRA),-extra '$(EXTRA)')

# The images for the demo's kernel, and for the tests.
.PHONY: demo-initramfs
demo-initramfs: host-packages
	@assets=$$($(GO) run ./qemu/demo kernel) && eval "$$assets" && \
		$(GO) run ./initramfs -arch arm64 -out out/arm64 -modules "$$MODULES" $(DEMO_IMAGES)

.PHONY: run
run: DEMO_IMAGES = $(if $(DEBUG),,-release-only) $(if $(filter profiles,$(LAYOUT)),-extra btrfs)
run: demo-initramfs
	@$(GO) run ./qemu/demo run

.PHONY: bundle
bundle: DEMO_IMAGES = -release-only
bundle: demo-initramfs
	@$(GO) run ./qemu/demo bundle $(or $(OUT),out/demo/update.raucb)

.PHONY: test
test: test-packages check check-32bit demo-initramfs
	$(GO) test -timeout 60m ./...

.PHONY: test-all
test-all: test-all-packages check check-32bit demo-initramfs
	MINOS_TEST_ALL=1 $(GO) test -timeout 120m ./...

.PHONY: check
check:
	@unformatted=$$($(GOBIN)gofmt -l cmd pkg initramfs qemu); \
		[ -z "$$unformatted" ] || { echo "not as gofmt writes it: $$unformatted"; exit 1; }
	$(GO) vet ./...
	GOARCH=arm $(GO) vet -tags minosdebug,faults ./cmd/... ./pkg/...
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags minosdebug,faults ./cmd/init ./pkg/firstboot ./pkg/mount ./pkg/slots/ubootenv
	$(GO) test -short -timeout 20m ./...
	$(GO) test -short -tags faults -run Planted ./pkg/slots/ubootenv

# A workstation for amd64 runs programs for 386. On another, the machines of make
# test-all are what shows mistakes of 32 bits.
.PHONY: check-32bit
check-32bit:
	@if [ "$$($(GO) env GOHOSTARCH)" = amd64 ]; then set -x; \
		GOARCH=386 GO386=softfloat $(GO) test -short -timeout 20m ./pkg/... ./cmd/minosctl; \
	else echo "SKIPPED, NOTHING WAS TESTED for 386: this is no amd64"; [ "$$CI" != true ]; fi

.PHONY: bench
bench:
	@sh qemu/host-packages.sh bench
	@$(GO) run ./qemu/bench

.PHONY: torture
torture: test-packages demo-initramfs
	@$(GO) run ./qemu/torture $(TORTURE)

.PHONY: fuzz
fuzz:
	@sh qemu/host-packages.sh test
	@$(GO) run ./qemu/fuzz $(FUZZ)

.PHONY: test-packages
test-packages:
	@sh qemu/host-packages.sh test

.PHONY: test-all-packages
test-all-packages:
	@sh qemu/host-packages.sh test-all

.PHONY: host-packages
host-packages:
	@sh qemu/host-packages.sh

.PHONY: clean
clean:
	rm -rf out
