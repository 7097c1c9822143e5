// The golden payloads of tests/fixtures, and what is refused: node --test examples/js/tfdecode.test.js

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inflateSync } from "node:zlib";

import { sipHash } from "./siphash.js";
import { EncodeError, SpecError, encode, requestBody } from "./tfdecode.js";

const GOLDEN = JSON.parse(readFileSync(new URL("../../tests/fixtures/golden.json", import.meta.url)));
const KNOWN = ["transpose", "astype", "raw", "png", "zlib", "zlib_bounded", "seal"];
const ARRAYS = {
  bool: Uint8Array, uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array,
  uint32: Uint32Array, int32: Int32Array, uint64: BigUint64Array, int64: BigInt64Array,
  float16: Uint16Array, bfloat16: Uint16Array, float32: Float32Array, float64: Float64Array,
  complex64: Float32Array, complex128: Float64Array,
};
const FINGERPRINT = "00112233445566778899aabbccddeeff".repeat(2);

const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const arrayOf = ({ dtype, array }) => new ARRAYS[dtype](bytesOf(array).buffer);
const names = ({ spec }) => spec.codecs?.map(({ name }) => name) ?? ["one_of"];
const specOf = (shape, dtype, ...codecs) => ({
  version: 1, shape, dtype, fingerprint: FINGERPRINT,
  codecs: codecs.map((step) => (typeof step === "string" ? { name: step } : step)),
});

/** What a payload holds for certain: deflate has a choice of bytes, and so has a PNG of row filters. */
function content(steps, payload) {
  const step = steps.at(-1);
  if (step === "zlib_bounded") { // after the length and a CRC if the first byte is no header of zlib; before a CRC
    const start = payload[0] % 16 === 8 && (payload[0] * 256 + payload[1]) % 31 === 0 ? 0 : 8;
    return [payload.subarray(0, start), new Uint8Array(inflateSync(payload.subarray(start, -4)))];
  }
  if (step === "seal") return content(steps.slice(0, -1), payload.subarray(0, -8));
  if (step === "zlib") return content(steps.slice(0, -1), new Uint8Array(inflateSync(payload)));
  return step === "png" ? pixels(payload) : payload;
}

function pixels(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.length), chunks = {};
  for (let at = 8; at < file.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    chunks[type] = file.slice(at + 8, at + 8 + view.getUint32(at));
  }
  const rows = inflateSync(chunks.IDAT), [width, height] = [view.getUint32(16), view.getUint32(20)];
  const row = rows.length / height, pixel = (row - 1) / width;
  const found = Array.from({ length: height }, () => new Uint8Array(row - 1));
  for (let y = 0; y < height; y++) {
    const filter = rows[y * row];
    assert.ok(filter <= 2, "this test knows the filters None, Sub and Up");
    for (let x = 0; x < row - 1; x++) {
      const before = [0, found[y][x - pixel], found[y - 1]?.[x]][filter] ?? 0;
      found[y][x] = rows[y * row + 1 + x] + before;
    }
  }
  return { header: chunks.IHDR, found };
}

for (const [name, golden] of Object.entries(GOLDEN)) {
  const steps = names(golden), free = steps.some((step) => /^(zlib|zlib_bounded|png)$/.test(step));
  const values = golden.spec.codecs?.find((step) => step.name === "astype")?.dtype ?? "";
  if (!steps.every((step) => KNOWN.includes(step)) || /float16|complex/.test(values)) continue;
  test(`golden: ${name}`, async () => {
    const array = Object.assign(arrayOf(golden), { shape: golden.shape });
    const payload = await encode(golden.spec, array), expected = bytesOf(golden.payload);
    if (!free) return assert.deepEqual(payload, expected);
    assert.deepEqual(content(steps, payload), content(steps, expected));
    if (!steps.includes("seal")) return undefined;
    const [low, high] = sipHash(bytesOf(golden.spec.fingerprint).subarray(0, 16), expected.subarray(0, -8));
    const halves = new DataView(expected.slice(-8).buffer);
    return assert.deepEqual([low >>> 0, high & 0x3fffffff], [0, 4].map((at) => halves.getUint32(at, true)));
  });
}

const oneOf = (shape, dtype, ...chains) => ({
  version: 1, shape, dtype, fingerprint: FINGERPRINT,
  one_of: chains.map((chain) => ({ fingerprint: FINGERPRINT, codecs: specOf(shape, dtype, ...chain).codecs })),
});

for (const name of ["one_of, the first", "one_of, the last", "one_of, a tag"])
  test(`golden: ${name}`, async () => {
    assert.deepEqual(await encode(GOLDEN[name].spec, arrayOf(GOLDEN[name])), bytesOf(GOLDEN[name].payload));
  });

test("of one_of the smallest payload is taken, after a tag unless its length says which chain", async () => {
  const spec = oneOf([400], "float32", [{ name: "astype", dtype: "uint8" }, "raw", "zlib"], ["delta", "raw", "zlib"], ["raw"]);
  const flat = await encode(spec, new Float32Array(400)), noise = Float32Array.from({ length: 400 }, Math.random);
  assert.ok(flat[0] === 0xa0 && flat.length < 40);
  assert.deepEqual(await encode(spec, noise), new Uint8Array(noise.buffer));
  const apart = oneOf([4], "float32", ["delta", "raw"], ["raw"]);
  await assert.rejects(encode(apart, new Float32Array(4)), /cannot tell the chains/);
  const narrow = oneOf([1], "float32", [{ name: "astype", dtype: "uint8" }, "raw"], ["delta", "raw", "zlib"]);
  await assert.rejects(encode(narrow, Float32Array.of(0.5)), /no chain can carry .*0\.5.*unknown codec 'delta'/);
});

test("SipHash-2-4 of the bytes 0 to 14 is what its authors print", () => {
  const count = (length) => Uint8Array.from({ length }, (_, i) => i);
  const [low, high] = sipHash(count(16), count(15));
  assert.deepEqual([low >>> 0, high >>> 0], [0x49be45e5, 0xa129ca61]);
});

test("the input's memory is neither kept nor changed", async () => {
  const memory = Uint16Array.of(9, 1, 2, 3, 9), array = memory.subarray(1, 4);
  const payload = await encode(specOf([3], "uint16", "raw"), array);
  assert.deepEqual(payload, Uint8Array.of(1, 0, 2, 0, 3, 0));
  assert.notEqual(payload.buffer, memory.buffer);
  for (const chain of [["png"], ["raw", "zlib", "seal"], [{ name: "transpose", order: [0] }, "raw"]])
    await encode(specOf([3], "uint16", ...chain), array);
  assert.deepEqual(memory, Uint16Array.of(9, 1, 2, 3, 9));
});

test("the side that is null follows from the number of elements", async () => {
  const spec = { ...specOf([2, null], "uint8", { name: "transpose", order: [1, 0] }, "raw"), max_shape: [2, 3] };
  assert.deepEqual(await encode(spec, Uint8Array.of(1, 2, 3, 4)), Uint8Array.of(1, 3, 2, 4));
  assert.deepEqual(await encode(spec, new Uint8Array(0)), new Uint8Array(0));
  await assert.rejects(encode(spec, new Uint8Array(3)), EncodeError);
  await assert.rejects(encode(spec, new Uint8Array(8)), EncodeError);
});

test("several sides that are null are stated, and come from the array's shape", async () => {
  const chain = [{ name: "transpose", order: [1, 0] }, "raw"];
  const spec = { ...specOf([null, null], "uint8", ...chain), max_shape: [2, 300] };
  const shaped = (shape, ...values) => Object.assign(Uint8Array.from(values), { shape });
  const packed = Uint8Array.of(3, 0, 0, 0, 2, 0, 0, 0, 1, 4, 2, 5, 3, 6);
  assert.deepEqual(await encode(spec, shaped([2, 3], 1, 2, 3, 4, 5, 6)), packed);
  assert.deepEqual(await encode(spec, shaped([0, 7])), Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0));
  await assert.rejects(encode(spec, Uint8Array.of(1)), /property 'shape'/);
  for (const shape of [[1, 1], [3, 1], [1], [1, 3, 1], [-1, -3], [1.5, 2]])
    await assert.rejects(encode(spec, shaped(shape, 1, 2, 3)), EncodeError);
  const fixed = specOf([2], "uint8", "raw");
  assert.deepEqual(await encode(fixed, shaped([2], 1, 2)), Uint8Array.of(1, 2));
});

test("an array without elements is a PNG of one pixel in either layout", async () => {
  for (const layout of ["planar", "interleaved"]) {
    const file = await encode(specOf([0, 3], "int64", { name: "png", layout }), new BigInt64Array(0));
    const header = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0);
    assert.deepEqual(pixels(file), { header, found: [Uint8Array.of(0)] });
  }
});

const as = (dtype) => [{ name: "astype", dtype }, "raw"];
const one = new Uint8Array(1), floats = (...values) => Float32Array.of(...values);
const longs = (...values) => BigInt64Array.of(...values);
const REFUSED = [
  ["another type", specOf([3], "float32", "raw"), new Float64Array(3), EncodeError, /Float64Array came.*Float32Array/],
  ["a list", specOf([3], "float32", "raw"), [1, 2, 3], EncodeError, /Array came/],
  ["nothing", specOf([3], "float32", "raw"), undefined, EncodeError, /undefined came/],
  ["too few elements", specOf([2, 3], "int8", "raw"), new Int8Array(5), EncodeError, /5 elements.*\[2,3\]/],
  ["half a complex number", specOf([1], "complex64", "raw"), new Float32Array(1), EncodeError, /0.5 elements/],
  ["a bool of 2", specOf([2, 2], "bool", "raw"), Uint8Array.of(0, 1, 2, 0), EncodeError, /2 at \[1, 0\]/],
  ["a bool of 2 in a PNG", specOf([2], "bool", "png"), Uint8Array.of(0, 2), EncodeError, /2 at \[1\]/],
  ["a fraction", specOf([3], "float32", ...as("uint8")), floats(1, 2, 1.5), EncodeError, /1.5 at \[2\] is not exactly uint8/],
  ["-0", specOf([1, 2], "float64", ...as("int32")), Float64Array.of(0, -0), EncodeError, /-0 at \[0, 1\] is not exactly int32/],
  ["NaN", specOf([1], "float32", ...as("int64")), floats(NaN), EncodeError, /NaN at \[0\]/],
  ["256", specOf([1], "int32", ...as("uint8")), Int32Array.of(256), EncodeError, /256 at \[0\]/],
  ["-1", specOf([2], "int8", ...as("uint8")), Int8Array.of(1, -1), EncodeError, /-1 at \[1\] is not exactly uint8/],
  ["-1 of 64 bits", specOf([1], "int64", ...as("uint64")), longs(-1n), EncodeError, /-1 at \[0\]/],
  ["2**64 - 1", specOf([1], "uint64", ...as("int64")), BigUint64Array.of(2n ** 64n - 1n), EncodeError, /not exactly int64/],
  ["2 as bool", specOf([2], "int64", ...as("bool")), longs(1n, 2n), EncodeError, /2 at \[1\]/],
  ["2**53 + 1", specOf([1], "int64", ...as("float64")), longs(2n ** 53n + 1n), EncodeError, /9007199254740993/],
  ["2**64", specOf([1], "float64", ...as("uint64")), Float64Array.of(2 ** 64), EncodeError, /18446744073709552000/],
  ["2**63 - 1", specOf([1], "int64", ...as("float32")), longs(2n ** 63n - 1n), EncodeError, /9223372036854775807/],
  ["too long", specOf([1], "uint8", "raw", { name: "zlib", max_packed: 8 }), one, EncodeError, /9 bytes, max_packed/],
  ["an unknown codec", specOf([1], "uint8", "delta", "raw"), one, SpecError, /unknown codec 'delta'.*zlib/],
  ["an unknown option", specOf([1], "uint8", { name: "raw", order: "F" }), one, SpecError, /option of raw 'order'/],
  ["a later codec", specOf([1], "uint8", { name: "raw", version: 2 }), one, SpecError, /version of raw '2'/],
  ["a later version", { ...specOf([1], "uint8", "raw"), version: 2 }, one, SpecError, /version '2'/],
  ["an unknown key", { ...specOf([1], "uint8", "raw"), unit: "m" }, one, SpecError, /key of a spec 'unit'/],
  ["an unknown dtype", specOf([1], "float8", "raw"), one, SpecError, /dtype 'float8'/],
  ["a chain without a container", specOf([1], "uint8", "zlib"), one, SpecError, /zlib is not a chain/],
  ["a seal that is not the last step", specOf([1], "uint8", "raw", "seal", "zlib"), one, SpecError, /not a chain/],
  ["17 steps", specOf([1], "uint8", "raw", ...Array(16).fill("zlib")), one, SpecError, /at most 16/],
  ["no fingerprint", { ...specOf([1], "uint8", "raw", "seal"), fingerprint: undefined }, one, SpecError, /fingerprint/],
  ["2 channels", specOf([1, 1, 2], "bool", { name: "png", layout: "interleaved" }), new Uint8Array(2), SpecError, / 2 /],
  ["a cast to bfloat16", specOf([1], "float32", ...as("bfloat16")), floats(1), SpecError, /no astype from float32/],
];
for (const [name, spec, array, kind, message] of REFUSED)
  test(`refused: ${name}`, () => assert.rejects(encode(spec, array), (error) => {
    assert.ok(error instanceof kind, error.stack);
    assert.match(error.message, message);
    return true;
  }));

test("a request body has one row, or those of a list, for each input", async () => {
  const schema = { version: 1, inputs: { pose: specOf([2], "uint8", "raw"), mask_bytes: specOf([], "int8", "raw") } };
  const single = await requestBody(schema, { pose: Uint8Array.of(251, 255), mask_bytes: Int8Array.of(-1) });
  assert.deepEqual(single, { inputs: { pose_bytes: [{ b64: "+/8=" }], mask_bytes: [{ b64: "/w==" }] } });
  const batch = { pose: [Uint8Array.of(1, 2), Uint8Array.of(3, 4)], mask_bytes: [Int8Array.of(5), Int8Array.of(6)] };
  const two = await requestBody(schema, batch);
  assert.deepEqual(two.inputs.pose_bytes, [{ b64: "AQI=" }, { b64: "AwQ=" }]);
  await assert.rejects(requestBody(schema, { pose: Uint8Array.of(1, 2) }), /'pose'.*'mask_bytes, pose'/);
  const named = { version: 1, inputs: { "größe 𝄞": specOf([1], "uint8", "raw") } };
  const several = { ...schema, signature: "encode", signatures: { decode: named } };
  const decode = await requestBody(several, { "größe 𝄞": Uint8Array.of(7) }, "decode");
  assert.deepEqual(decode, { signature_name: "decode", inputs: { gr__e___bytes: [{ b64: "Bw==" }] } });
  await assert.rejects(requestBody(several, {}, "other"), /no signature 'other'/);
  const wrapped = { ...named, signature: "bytes" };
  for (const name of [undefined, "bytes"]) {
    assert.equal((await requestBody(wrapped, { "größe 𝄞": Uint8Array.of(7) }, name)).signature_name, "bytes");
  }
  await assert.rejects(requestBody(wrapped, {}, "serving_default"), /no signature 'serving_default'/);
  await assert.rejects(requestBody({ ...schema, version: 2 }, {}), SpecError);
});

test("base64 of any length is that of Node", async () => {
  for (const length of [0, 1, 2, 3, 24575, 24576, 24577, 100000]) {
    const array = Uint8Array.from({ length }, (_, i) => (i * 151) & 255);
    const body = await requestBody({ version: 1, inputs: { x: specOf([length], "uint8", "raw") } }, { x: array });
    assert.equal(body.inputs.x_bytes[0].b64, Buffer.from(array).toString("base64"));
  }
});
