# SPDX-License-Identifier: GPL-2.0-only
#
# Builds, boots and tests the series. Everything it makes is under build/.

S := scripts

# Options of "make vm"
KERNEL ?= x86
MEM ?= 2G
CPUS ?= 2
IOMMU ?= none
TIMEOUT ?= 300
APPEND ?=
vm_opts = --kernel $(KERNEL) --memory $(MEM) --cpus $(CPUS) --iommu $(IOMMU) \
	  --timeout $(TIMEOUT) $(if $(ICOUNT),--icount) \
	  $(if $(APPEND),--append "$(APPEND)")

.DEFAULT_GOAL := help
.PHONY: help demo demo-prod vmm vtd test test-vtd kernel debug-kernel peer prod-kernel \
	kcsan-kernel compat-kernel uml vm kunit selftest kcsan bench scale parallel check figures \
	series series-check install-tree deb coverage \
	coverage-kernel clean apply apply-peer base tools

help:
	@echo 'make demo          migrate a process under DMA over every backend, in a VM'
	@echo 'make vmm           a stock QEMU migrates guests under DMA: every interface, tracker,'
	@echo '                   size of leaves and kind of memory; KERNEL=x86|debug|peer'
	@echo 'make demo-prod     the same on a kernel in the configuration of Debian'
	@echo 'make test          the tests; closes with "N passed, N failed, N skipped"'
	@echo 'make kunit         KUnit suites on UML, plain and debug kernel'
	@echo 'make selftest      kselftests on plain, debug and compat kernel'
	@echo 'make test-vtd      kselftests behind a VT-d and an AMD-Vi with dirty bits'
	@echo 'make kcsan         the race tests on the kernel with KCSAN'
	@echo 'make coverage      lines and branches that the tests execute, by file'
	@echo 'make bench         figures, ours to the peer, in instructions'
	@echo 'make scale         how costs grow with the guest, up to 16 TiB; writes'
	@echo '                   Documentation/driver-api/iommufd-scale.rst'
	@echo 'make parallel      what two threads do to what one does, ours and the peer'
	@echo 'make check         style, sparse, W=1, documentation, options, series'
	@echo 'make figures       measure, and write Documentation/driver-api/iommufd-figures.rst'
	@echo 'make vm CMD="..."  boot and run a command (scripts/vm gives its exit status);'
	@echo '                   KERNEL=x86|debug|peer|um|prod|kcsan|coverage|compat|deb'
	@echo '                   MEM=2G CPUS=2 IOMMU=vtd|vtd-dirty|amd-dirty|none ICOUNT=1 TIMEOUT=300 APPEND="..."'
	@echo
	@echo 'make kernel        the kernel with the series      build/x86'
	@echo 'make debug-kernel  the same with KASAN, lockdep    build/debug'
	@echo 'make peer          the base with the mock devices  build/peer'
	@echo "make prod-kernel   the series as modules, Debian's options  build/prod"
	@echo 'make compat-kernel the series, /dev/vfio/vfio by iommufd  build/compat'
	@echo 'make kcsan-kernel  the series with KCSAN           build/kcsan'
	@echo 'make coverage-kernel  the series with gcov        build/coverage'
	@echo 'make uml           User-Mode Linux                 build/um'
	@echo 'make vtd           QEMU whose IOMMUs have dirty bits  build/qemu-vtd'
	@echo 'make tools         programs and tests for the VM   build/tools, build/selftests'
	@echo
	@echo 'make series        the series as patches           build/series'
	@echo 'make series-check  build and test the series patch by patch (an hour or more)'
	@echo 'make install-tree DIR=...  put the series into another Linux 6.12.y tree;'
	@echo '                   DRY_RUN=1 only reports, REMOVE=1 takes it out'
	@echo 'make deb           Debian packages of the kernel   build/deb;'
	@echo '                   CONFIG=FILE|debian|prod'
	@echo
	@echo 'make base          unpack the base                 build/base'
	@echo 'make apply         the base with the series        build/linux'
	@echo 'make apply-peer    the same for the peer kernel    build/peer-linux'
	@echo 'make clean         remove build/'
	@echo 'make help          this list'
	@echo
	@echo 'Every script in scripts/ has --help.'

base:
	@$(S)/setup/packages
	@$(S)/setup/base

apply: base
	@$(S)/apply linux

apply-peer: base
	@$(S)/apply peer

kernel: apply
	@$(S)/build x86

debug-kernel: apply
	@$(S)/build debug

uml: apply
	@$(S)/build um

peer: apply-peer
	@$(S)/build peer

prod-kernel: apply
	@$(S)/build prod

# Begins with the objects of x86.
compat-kernel: kernel
	@$(S)/build compat

kcsan-kernel: apply
	@$(S)/build kcsan

coverage-kernel: apply
	@$(S)/build coverage

tools: apply
	@$(S)/guest/build-tools
	@$(S)/guest/base-selftests

vm: export VM_COMMAND = $(value CMD)
vm:
	@$(S)/vm $(vm_opts) -- "$$VM_COMMAND"

demo: kernel tools
	@$(S)/run-demo

vmm: $(if $(filter debug peer,$(KERNEL)),$(KERNEL:debug=debug-kernel),kernel) tools
	@$(S)/run-vmm $(KERNEL)

demo-prod: prod-kernel tools
	@$(S)/run-demo prod

kunit: kernel debug-kernel uml
	@$(S)/run-kunit um x86 debug

selftest: kernel debug-kernel compat-kernel tools
	@$(S)/run-selftest x86 debug compat
	@$(S)/run-base-selftests x86

vtd:
	@$(S)/setup/qemu-vtd

test-vtd: vtd kernel debug-kernel tools
	@$(S)/run-selftest --dirty-bits x86 debug
	@$(S)/run-vmm --dirty-bits

kcsan: kcsan-kernel tools
	@$(S)/run-kcsan

coverage: coverage-kernel tools
	@$(S)/run-coverage

bench: kernel peer tools
	@$(S)/run-bench

scale: vtd kernel peer tools
	@$(S)/run-scale
	@$(S)/results/scale --write build/bench/scale.json Documentation/driver-api

parallel: vtd kernel peer tools
	@$(S)/run-parallel

check: kernel
	@$(S)/check

figures: bench demo
	@$(S)/run-demo peer
	@$(S)/results/figures build >build/iommufd-figures.rst
	@mv build/iommufd-figures.rst Documentation/driver-api/

series: apply
	@$(S)/series/format

series-check: apply
	@$(S)/series/check

install-tree:
	@$(S)/install-tree $(if $(DRY_RUN),-n) $(if $(REMOVE),-R) "$$DIR"

deb:
	@$(S)/deb

test:
	@$(S)/test

clean:
	rm -rf build
