# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make demo     show remote and local events
#   make check    run the tests
#   make          build the library, fanmirror and fanwatch
#   make help     the other targets
#
# Everything that is made goes to build/ (SANITIZE=1: to build/san/). V=1 shows
# the commands, WERROR=1 (or CI=true) turns warnings into errors.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

B := build
CC := cc
AR := gcc-ar
OPT := -O2 -g
PREFIX := /usr/local
BINDIR = $(PREFIX)/bin
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
DOCDIR = $(PREFIX)/share/doc/libfanotify-remote
UNITDIR = $(PREFIX)/lib/systemd/system

LIB := lib/libfanotify-remote
VHOST := build/libvhost-user
VERSION := $(shell sed -n 's/^\#define FANR_VERSION[[:space:]]*"\(.*\)"/\1/p' $(LIB)/include/fanotify-remote.h 2>/dev/null)
SOVERSION := 0

ifeq ($(SANITIZE),1)
B := build/san
OPT := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
# libFuzzer is clang's
ifeq ($(LIBFUZZER),1)
B := build/libfuzzer
CC := clang
AR := ar
OPT := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_LDFLAGS := -fsanitize=fuzzer
endif
ifneq ($(filter 1 true,$(WERROR) $(CI)),)
WARN_ERROR := -Werror
endif
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
endif

# The output of pkg-config, asked once and only by what needs it
pkg = $(or $(shell pkg-config $(2) $(1) 2>/dev/null),$(error $(1) is not installed: run scripts/install-deps))
once = $(eval $(1) := $(2))$($(1))
FUSE_CFLAGS = $(call once,FUSE_CFLAGS,$(call pkg,fuse3,--cflags))
FUSE_LIBS = $(call once,FUSE_LIBS,$(call pkg,fuse3,--libs))
URING_LIBS = $(call once,URING_LIBS,$(call pkg,liburing,--libs))
JSON_CFLAGS = $(call once,JSON_CFLAGS,$(call pkg,json-c,--cflags))
JSON_LIBS = $(call once,JSON_LIBS,$(call pkg,json-c,--libs))
FANWATCH_LIBS = $(JSON_LIBS) $(call once,NCURSES_LIBS,$(call pkg,ncursesw,--libs)) \
	$(call once,AUDIT_LIBS,$(call pkg,audit,--libs)) $(call once,CAPNG_LIBS,$(call pkg,libcap-ng,--libs))
VHOST_LIBS = $(shell ls $(VHOST)/libvhost-user.a 2>/dev/null)
CHECK_LIBS = $(call once,CHECK_LIBS,$(call pkg,check,--libs))

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) -Wall -Wextra $(WARN_ERROR) -fPIC -pthread \
	-I$(LIB) -I$(LIB)/include $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(filter -fsanitize=%,$(OPT)) -pthread -Wl,--as-needed $(LDFLAGS)

# ---- what is there
client_src := $(sort $(wildcard $(LIB)/client/*.c))
server_src := $(sort $(wildcard $(LIB)/server/*.c))
fanmirror_src := $(sort $(wildcard server/fanmirror/*.c))
fanwatch_src := $(sort $(wildcard cli/fanwatch/*.c))
unit_src := $(sort $(wildcard tests/unit/check_*.c))
unit_lib_src := $(sort $(filter-out $(unit_src),$(wildcard tests/unit/*.c)))
fanmirror_test_src := $(sort $(wildcard tests/fanmirror/*.c))
ltp_src := $(sort $(wildcard tests/ltp/*.c))
ltp_lib_src := $(sort $(wildcard tests/ltp/lib/*.c))
fuzz_src := $(sort $(wildcard tests/fuzz/fuzz_*.c))
bench_src := $(sort $(wildcard tests/bench/*.c))
bench_lib_src := $(sort $(wildcard tests/bench/lib/*.c))
example_src := $(sort $(wildcard examples/*.c))
headers := $(sort $(wildcard $(LIB)/include/*.h))
man_pages := $(sort $(wildcard man/*.[1-8]))
# PAGE:NAME of what else pages are found by: functions, and fanwatch's other name
man_aliases := fanwatch.1:fanotifywait $(foreach p,$(filter %.3,$(man_pages)),$(addprefix $(notdir $(p)):, \
	$(shell sed -n 's/^\.Nm \(fanr_[a-z_]*\).*/\1/p' $(p))))
docs := kernel/PROTOCOL.md $(wildcard $(LIB)/*.md)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
client_obj := $(call obj,$(client_src))
server_obj := $(call obj,$(server_src))
fanmirror_obj := $(call obj,$(fanmirror_src))
fanwatch_obj := $(call obj,$(fanwatch_src))
unit_lib_obj := $(call obj,$(unit_lib_src))
ltp_lib_obj := $(call obj,$(ltp_lib_src))
bench_lib_obj := $(call obj,$(bench_lib_src))
all_obj := $(client_obj) $(server_obj) $(fanmirror_obj) $(fanwatch_obj) $(unit_lib_obj) $(ltp_lib_obj) \
	$(bench_lib_obj) $(call obj,$(fuzz_src) tests/fuzz/driver.c $(unit_src) $(fanmirror_test_src) $(ltp_src) $(bench_src) $(example_src))

client_a := $(if $(client_src),$(B)/lib/libfanotify-remote.a)
server_a := $(if $(server_src),$(B)/lib/libfanotify-remote-server.a)
libraries := $(foreach a,$(client_a) $(server_a),$(a) $(a:.a=.so) $(a:.a=.so.$(SOVERSION)))
units := $(patsubst server/fanmirror/%.in,$(B)/units/%,$(wildcard server/fanmirror/*.service.in))
pc_files := $(patsubst $(LIB)/%.in,$(B)/lib/pkgconfig/%,$(wildcard $(LIB)/*.pc.in))
# fanotifywait: fanwatch, as inotifywait
programs := $(if $(fanmirror_src),$(B)/bin/fanmirror) $(if $(fanwatch_src),$(B)/bin/fanwatch $(B)/bin/fanotifywait)
unit_bin := $(unit_src:tests/unit/%.c=$(B)/tests/unit/%)
fanmirror_test_bin := $(fanmirror_test_src:tests/fanmirror/%.c=$(B)/tests/fanmirror/%)
ltp_bin := $(ltp_src:tests/ltp/%.c=$(B)/tests/ltp/%)
fuzz_bin := $(fuzz_src:tests/fuzz/%.c=$(B)/tests/fuzz/%)
bench_bin := $(bench_src:tests/bench/%.c=$(B)/tests/bench/%)
# the same by the library and the event queue: those whose only server is fanmirror
queue_bin := $(patsubst tests/ltp/%.c,$(B)/tests/queue/%,$(shell \
	grep -L '"rawfuse.h"' $$(grep -l '"mirror.h"' $(ltp_src))))
# libfuse's own example, a server that knows nothing of us
stock_src := $(wildcard /usr/share/doc/libfuse3-dev/examples/passthrough_ll.c)
stock_bin := $(if $(stock_src),$(B)/bin/passthrough_ll)
example_bin := $(example_src:examples/%.c=$(B)/examples/%)
# what the unit tests can reach of the programs: all but main()
parts := $(if $(fanmirror_src),$(B)/lib/parts/fanmirror.a) $(if $(fanwatch_src),$(B)/lib/parts/fanwatch.a)

.PHONY: all tests examples fuzzers
all: $(libraries) $(pc_files) $(programs) $(units) examples
examples: $(example_bin)
fuzzers: $(fuzz_bin)
tests: $(unit_bin) $(fanmirror_test_bin) $(ltp_bin) $(queue_bin) $(bench_bin) $(stock_bin)

# ---- compile
$(server_obj) $(fanmirror_obj): ALL_CFLAGS += $(FUSE_CFLAGS)
$(call obj,$(unit_src) $(unit_lib_src) $(fuzz_src) $(fanmirror_test_src) $(ltp_src) $(ltp_lib_src) $(example_src)): \
	ALL_CFLAGS += $(FUSE_CFLAGS)
$(call obj,$(fanmirror_test_src)): ALL_CFLAGS += -Iserver/fanmirror
vhost_obj := $(call obj,$(wildcard server/fanmirror/vhost*.c tests/virtiofs/*.c))
$(vhost_obj): ALL_CFLAGS += -isystem $(VHOST)/src/subprojects/libvhost-user
$(vhost_obj): $(VHOST)/tried
$(fanwatch_obj) $(call obj,$(unit_src) $(unit_lib_src) $(fuzz_src)): ALL_CFLAGS += $(JSON_CFLAGS)
$(client_obj) $(server_obj): ALL_CFLAGS += -fvisibility=hidden
# expected events are written as tables whose last fields are often left out
$(ltp_lib_obj) $(bench_lib_obj) $(call obj,$(ltp_src) $(bench_src)): \
	ALL_CFLAGS += -Itests/ltp/lib -Itests/bench/lib -Wno-missing-field-initializers

# Changes when the flags do, so that everything is compiled again
flags_now = $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(flags_now))' | cmp -s - $@ || echo '$(subst ','\'',$(flags_now))' >$@

$(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(all_obj:.o=.d)

$(B)/bin/passthrough_ll: $(stock_src)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -w -o $@ $< $(FUSE_CFLAGS) $(FUSE_LIBS)

# From the distribution's QEMU; fanmirror is built without it where it is not to be had
$(VHOST)/tried: scripts/libvhost-user
	$(Q)$<

# ---- libraries
define archive
$(call say,AR,$@)
@mkdir -p $(@D)
@rm -f $@
$(Q)$(AR) rcs $@ $(filter %.o,$^)
endef

$(B)/lib/libfanotify-remote.a: $(client_obj)
	$(archive)
$(B)/lib/libfanotify-remote-server.a: $(server_obj)
	$(archive)
$(B)/lib/parts/fanmirror.a: $(filter-out %/main.o,$(fanmirror_obj))
	$(archive)
$(B)/lib/parts/fanwatch.a: $(filter-out %/main.o,$(fanwatch_obj))
	$(archive)

define shared
$(call say,LD,$@)
@mkdir -p $(@D)
$(Q)$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,$(@F) -Wl,-z,defs -Wl,--version-script=$(filter %.map,$^) \
	-o $@ $(filter %.o,$^) $(LIBS)
endef

$(B)/lib/libfanotify-remote.so.$(SOVERSION): $(client_obj) $(LIB)/client/libfanotify-remote.map
	$(shared)
$(B)/lib/libfanotify-remote-server.so.$(SOVERSION): LIBS = $(FUSE_LIBS)
$(B)/lib/libfanotify-remote-server.so.$(SOVERSION): $(server_obj) $(LIB)/server/libfanotify-remote-server.map
	$(shared)
$(B)/lib/%.so: $(B)/lib/%.so.$(SOVERSION)
	@ln -sf $(<F) $@

$(B)/lib/pkgconfig/%.pc: $(LIB)/%.pc.in $(LIB)/include/fanotify-remote.h $(B)/prefix
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' $< >$@
$(B)/units/%: server/fanmirror/%.in $(B)/prefix
	@mkdir -p $(@D)
	@sed 's|@BINDIR@|$(BINDIR)|' $< >$@
prefix_now = $(PREFIX) $(BINDIR) $(LIBDIR) $(INCLUDEDIR)
$(B)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(prefix_now)' | cmp -s - $@ || echo '$(prefix_now)' >$@

# ---- programs
define program
$(call say,LD,$@)
@mkdir -p $(@D)
$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
endef

$(B)/bin/fanmirror: LIBS = $(FUSE_LIBS) $(URING_LIBS) $(VHOST_LIBS)
$(B)/bin/fanmirror: $(fanmirror_obj) $(server_a)
	$(program)
$(B)/bin/fanwatch: LIBS = $(FANWATCH_LIBS)
$(B)/bin/fanwatch: $(fanwatch_obj) $(client_a)
	$(program)
$(B)/bin/fanotifywait: $(B)/bin/fanwatch
	@ln -sf $(<F) $@
$(unit_bin): LIBS = $(CHECK_LIBS) $(FUSE_LIBS) $(URING_LIBS) $(FANWATCH_LIBS) $(VHOST_LIBS)
$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(unit_lib_obj) $(parts) $(client_a) $(server_a)
	$(program)
$(fanmirror_test_bin): LIBS = $(FUSE_LIBS) $(URING_LIBS) $(VHOST_LIBS)
$(B)/tests/fanmirror/%: $(B)/obj/tests/fanmirror/%.o $(parts) $(server_a)
	$(program)
$(ltp_bin): LIBS = $(FUSE_LIBS)
$(B)/tests/ltp/%: $(B)/obj/tests/ltp/%.o $(filter-out %/fan_queue.o,$(ltp_lib_obj))
	$(program)
$(queue_bin): LIBS = $(FUSE_LIBS) -Wl,--wrap=close
$(B)/tests/queue/%: $(B)/obj/tests/ltp/%.o $(filter-out %/fan_kernel.o,$(ltp_lib_obj)) $(client_a)
	$(program)
$(bench_bin): LIBS = $(FUSE_LIBS)
$(B)/tests/bench/%: $(B)/obj/tests/bench/%.o $(bench_lib_obj) $(filter-out %/fan_queue.o,$(ltp_lib_obj)) $(client_a)
	$(program)
$(fuzz_bin): LIBS = $(FUZZ_LDFLAGS) $(FUSE_LIBS) $(FANWATCH_LIBS)
$(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/%.o $(if $(FUZZ_LDFLAGS),,$(B)/obj/tests/fuzz/driver.o) $(B)/lib/parts/fanwatch.a $(client_a) $(server_a)
	$(program)
$(example_bin): LIBS = $(FUSE_LIBS)
$(B)/examples/fanscan: LIBS = -laudit
$(B)/examples/fanindex: LIBS = -lsqlite3
$(B)/examples/%: $(B)/obj/examples/%.o $(client_a) $(server_a)
	$(program)

# ---- kernel
.PHONY: kernel kernel-base kernel-debug kernel-delayed kernel-tree kernel-patches kernel-checkpatch kernel-matrix
kernel:
	+@kernel/build image
kernel-debug:
	+@kernel/build image --debug
kernel-delayed:
	+@kernel/build image --delayed
kernel-base:
	+@kernel/build base-image
kernel-tree:
	@kernel/build tree
kernel-patches:
	@kernel/build patches
kernel-checkpatch:
	@kernel/build checkpatch
kernel-matrix:
	+@kernel/build build-matrix

# ---- demo and tests. The packages come first, since all else is built with them
.PHONY: deps demo demo-kernel bench fuzz fuzz-kernel check check-unit check-vm check-examples check-debug check-kcsan \
	check-stress check-load check-local lint
deps:
	@scripts/install-deps

define with_deps
@scripts/install-deps
+@$(MAKE) --no-print-directory $(1)
endef

demo:
	@scripts/install-deps build
	+@$(MAKE) --no-print-directory all
	@tests/demo
demo-kernel:
	$(call with_deps,all kernel)
	@tests/demo --kernel
check:
	$(call with_deps,all tests kernel kernel-base kernel-delayed)
	+@$(MAKE) --no-print-directory SANITIZE=1 fuzzers
	@tests/run-all
# Needs clang with its runtime; FUZZ_SECONDS= is for each of the targets
FUZZ_SECONDS := 600
fuzz:
	+@$(MAKE) --no-print-directory LIBFUZZER=1 fuzzers
	@mkdir -p build/fuzz/corpus
	@for t in $(notdir $(fuzz_src:.c=)); do \
		mkdir -p "build/fuzz/corpus/$${t#fuzz_}"; \
		echo "fuzz: $$t for $(FUZZ_SECONDS) s (log: build/fuzz/$$t.log)"; \
		(cd build/fuzz && ../libfuzzer/tests/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
			-artifact_prefix=./$$t- corpus/"$${t#fuzz_}" ../../tests/fuzz/corpus/"$${t#fuzz_}" >$$t.log 2>&1) || \
			{ tail -n 30 build/fuzz/$$t.log; exit 1; }; \
		sed -n 's/^stat::number_of_executed_units: */fuzz: inputs tried: /p' build/fuzz/$$t.log; \
	done
check-unit:
	$(call with_deps,all tests)
	@tests/run-all unit
check-vm:
	$(call with_deps,all tests kernel kernel-delayed)
	@tests/run-all vm delayed scripts
check-examples:
	$(call with_deps,all kernel)
	@tests/examples/run --full
	@tests/vm/run --timeout 14400 -- tests/examples/run --full
# The positive control first: a kernel that does not report proves nothing
check-debug:
	$(call with_deps,all tests kernel-debug)
	@rm -rf build/coverage
	@FUZZ_COUNT=200000 tests/run-all --debug control scripts vm coverage
	@tests/evidence
check-kcsan:
	$(call with_deps,all tests)
	+@kernel/build image --kcsan
	@tests/vm/kcsan
# Ten minutes each on the plain and on the debug kernel
STRESS_SECONDS := 600
check-stress:
	$(call with_deps,all tests kernel kernel-debug)
	@STRESS_SECONDS=$(STRESS_SECONDS) LTP_TIMEOUT_MUL=20 tests/long stress patched \
		tests/vm/run --timeout 3600 -- build/tests/ltp/remote_stress
	@STRESS_SECONDS=$(STRESS_SECONDS) LTP_TIMEOUT_MUL=20 tests/long stress-debug debug \
		tests/vm/run --debug --leaks --timeout 3600 -- build/tests/ltp/remote_stress
# Numbered changes by both back ends and virtiofs, none of which may be missing without an overflow
LOAD_COUNT := 10000000
check-load:
	$(call with_deps,all tests kernel)
	@LOAD_COUNT=$(LOAD_COUNT) LTP_TIMEOUT_MUL=200 tests/long load patched \
		tests/vm/run --timeout 0 --mem 2G -- build/tests/ltp/remote_load
	@LOAD_COUNT=$(LOAD_COUNT) LTP_TIMEOUT_MUL=200 tests/long load-queue "this machine's" build/tests/queue/remote_load
	@LOAD_COUNT=$(LOAD_COUNT) LTP_TIMEOUT_MUL=200 tests/long load-virtiofs patched \
		sh -c 'tests/virtiofs/run kernel_load; status=$$?; cat build/tests/virtiofs/kernel_load.log; exit $$status'
# One for each processor, in a kernel that is a process: QEMU would take eight times as long
FUZZ_COUNT := 10000000
FUZZ_SEED := 1
FUZZ_LANES := $(shell nproc)
fuzz-kernel:
	$(call with_deps,all tests)
	+@kernel/build image --uml
	@tests/vm/control uml
	@rm -f build/log/long-fuzz-*.log; lanes=; trap 'for i in $$lanes; do kill -- -$$i; done; exit 130' INT TERM; \
	for i in $$(seq $(FUZZ_LANES)); do \
		FUZZ_COUNT=$$(($(FUZZ_COUNT) / $(FUZZ_LANES))) FUZZ_SEED=$$(($(FUZZ_SEED) + 2 * i - 2)) LTP_TIMEOUT_MUL=200 \
			setsid tests/long fuzz-$$i user-mode tests/vm/uml --timeout 0 -- build/tests/ltp/remote_fuzz & lanes="$$lanes $$!"; \
	done; status=0; for i in $$lanes; do wait $$i || status=1; done; exit $$status
# Builds the unpatched kernel too, once
check-local:
	$(call with_deps,all tests kernel)
	@kernel/build base-image
	@tests/long local 'patched, unpatched' tests/local
	@tests/long selftests 'patched, unpatched' tests/selftests
bench:
	$(call with_deps,all tests kernel)
	@[ -f build/kernel/v6.12/base-obj/arch/x86/boot/bzImage ] || kernel/build base-image
	@tests/bench/run
lint:
	@scripts/lint

# ---- install
.PHONY: install uninstall deb check-deb
dest = $(DESTDIR)$(1)
man_dest = $(call dest,$(MANDIR)/man$(subst .,,$(suffix $(1)))/$(notdir $(1)))
page_of = $(word 1,$(subst :, ,$(1)))
alias_dest = $(call man_dest,$(word 2,$(subst :, ,$(1)))$(suffix $(call page_of,$(1))))

install: $(libraries) $(pc_files) $(programs) $(units)
	@install -d $(call dest,$(BINDIR)) $(call dest,$(LIBDIR)/pkgconfig) $(call dest,$(INCLUDEDIR)) \
		$(call dest,$(UNITDIR)) $(call dest,$(DOCDIR)/examples)
	$(if $(strip $(programs)),@cp -dp --no-preserve=ownership $(programs) $(call dest,$(BINDIR)))
	$(if $(strip $(libraries)),@cp -dp --no-preserve=ownership $(libraries) $(call dest,$(LIBDIR)))
	$(if $(pc_files),@install -m 644 $(pc_files) $(call dest,$(LIBDIR)/pkgconfig))
	$(if $(headers),@install -m 644 $(headers) $(call dest,$(INCLUDEDIR)))
	@install -D -m 644 cli/fanwatch/completion/fanwatch.bash $(call dest,$(BASHDIR)/fanwatch)
	@ln -sf fanwatch $(call dest,$(BASHDIR)/fanotifywait)
	@install -D -m 644 cli/fanwatch/completion/_fanwatch $(call dest,$(ZSHDIR)/_fanwatch)
	$(if $(units),@install -m 644 $(units) $(call dest,$(UNITDIR)))
	@install -m 644 $(docs) $(call dest,$(DOCDIR))
	$(if $(example_src),@install -m 644 $(example_src) $(call dest,$(DOCDIR)/examples))
	$(foreach p,$(man_pages),@install -D -m 644 $(p) $(call man_dest,$(p))$(newline))
	$(foreach f,$(man_aliases),@ln -sf $(call page_of,$(f)) $(call alias_dest,$(f))$(newline))
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

uninstall:
	@rm -f $(foreach p,$(programs),$(call dest,$(BINDIR)/$(notdir $(p)))) \
		$(foreach p,$(libraries),$(call dest,$(LIBDIR)/$(notdir $(p)))) \
		$(foreach p,$(pc_files),$(call dest,$(LIBDIR)/pkgconfig/$(notdir $(p)))) \
		$(foreach p,$(headers),$(call dest,$(INCLUDEDIR)/$(notdir $(p)))) \
		$(foreach p,$(units),$(call dest,$(UNITDIR)/$(notdir $(p)))) \
		$(foreach p,$(docs),$(call dest,$(DOCDIR)/$(notdir $(p)))) \
		$(foreach p,$(example_src),$(call dest,$(DOCDIR)/examples/$(notdir $(p)))) \
		$(foreach p,$(man_pages),$(call man_dest,$(p))) \
		$(foreach f,$(man_aliases),$(call alias_dest,$(f))) \
		$(call dest,$(BASHDIR)/fanwatch) $(call dest,$(BASHDIR)/fanotifywait) $(call dest,$(ZSHDIR)/_fanwatch)
	@rmdir $(call dest,$(DOCDIR)/examples) $(call dest,$(DOCDIR)) 2>/dev/null || :

deb:
	@scripts/install-deps deb
	@packaging/build
check-deb: deb
	@packaging/check

define newline


endef

# ---- clean. The kernel takes long to build: only distclean removes it
.PHONY: clean distclean help FORCE
clean:
	@rm -rf build/obj build/lib build/bin build/tests build/examples build/san build/flags build/prefix build/units build/log build/vm
distclean:
	@rm -rf build
help:
	@printf '%s\n' \
		'all (default)      the library, fanmirror, fanwatch and the examples' \
		'demo               local and remote events, on this machine' \
		'demo-kernel        the same in a virtual machine with the patched kernel' \
		'check              all tests; check-unit, check-vm: one part; check-debug: under the debug kernel' \
		'check-local        local events are those of the unpatched kernel, which is built once' \
		'bench              measures everything, two hours and more; tests/bench/run --help' \
		'check-kcsan        data races; check-stress: ten minutes of eight processes, twice' \
		'check-load         ten million numbered changes (LOAD_COUNT=), half an hour' \
		'fuzz-kernel        ten million messages to the kernel (FUZZ_COUNT=, FUZZ_SEED=); half an hour' \
		'fuzz               libFuzzer on what comes from outside, FUZZ_SECONDS= for each target' \
		'check-examples     the tests of the examples at full size, here and in the machine (hours)' \
		'lint               static checks of C, shell and man pages' \
		'kernel             the patched kernel; kernel-debug: with KASAN, lockdep and more' \
		'kernel-delayed     one in which what can race waits a random while' \
		'kernel-tree        a git tree with the series applied; kernel-patches: write it back' \
		'kernel-checkpatch  checkpatch --strict; kernel-matrix: options on and off, W=1 (an hour)' \
		'install, uninstall with PREFIX= and DESTDIR=' \
		'deb                Debian packages, in build/deb; check-deb: lintian, and a clean system with them' \
		'clean, distclean   distclean removes the built kernel, too' \
		'deps               install the packages that these need'
FORCE:
