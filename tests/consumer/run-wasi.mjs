// SPDX-License-Identifier: MIT OR Apache-2.0
// run-wasi.mjs PROGRAM: runs a WASI program with this process's environment.
import { readFile } from "node:fs/promises";
import { argv, env, exit } from "node:process";
import { WASI } from "node:wasi";

// Node.js 18 lacks getImportObject(), which is this object.
const wasi = new WASI({ version: "preview1", args: argv.slice(2), env, returnOnExit: true });
const module = await WebAssembly.compile(await readFile(argv[2]));
exit(wasi.start(await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport })));
