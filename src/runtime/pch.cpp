// The shell's precompiled header needs a target that owns it.
