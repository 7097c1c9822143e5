// Packs typed arrays for a model that decodes them with tfdecode: the client side of docs/wire-format.md.
// It has one_of and the codecs transpose, astype, raw, png, zlib, zlib_bounded and seal. Node 18 and browsers run it without a build:
//
//     import { requestBody } from "./tfdecode.js";
//     const schema = await (await fetch("tfdecode.json")).json(); // the model's assets.extra/tfdecode.json
//     const body = await requestBody(schema, { pose_map: new Float32Array(256 * 192 * 18) });
//     await fetch(`${server}/v1/models/pose:predict`, { method: "POST", body: JSON.stringify(body) });

import { boundedStream, deflate, pngFile } from "./png.js";
import { sipHash } from "./siphash.js";

const TYPES = { // itemsize; the typed arrays that hold it: float16 as bits, a complex number as two floats
  bool: [1, Uint8Array], uint8: [1, Uint8Array, Uint8ClampedArray], int8: [1, Int8Array],
  uint16: [2, Uint16Array], int16: [2, Int16Array], uint32: [4, Uint32Array], int32: [4, Int32Array],
  uint64: [8, BigUint64Array], int64: [8, BigInt64Array], float32: [4, Float32Array], float64: [8, Float64Array],
  float16: [2, Uint16Array, globalThis.Float16Array ?? Uint16Array], bfloat16: [2, Uint16Array],
  complex64: [8, Float32Array], complex128: [16, Float64Array],
};
const CODECS = { // the function that encodes, and the names of its options
  transpose: [transpose, "order"], astype: [astype, "dtype"], raw: [raw],
  png: [png, "layout", "level", "describe"], zlib: [zlib, "level", "max_packed", "store_incompressible"], seal: [seal],
  zlib_bounded: [zlibBounded, "level", "store_incompressible"],
};
const CHAIN = /^((transpose|astype)\|)*(raw(\|zlib_bounded)?|png)(\|zlib)*(\|seal)?$/;
const KEYS = ["version", "shape", "max_shape", "dtype", "label", "codecs", "one_of", "fingerprint"];
const LONGEST = 2 ** 31 - 1024; // bytes of an array and of a payload
const HOST_IS_BIG_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 0;

export class EncodeError extends Error {}
export class SpecError extends Error {}
const demand = (holds, message, Kind = EncodeError) => { if (!holds) throw new Kind(message()); };
const product = (sides) => sides.reduce((all, side) => all * side, 1);
const place = (at, shape) =>
  `[${shape.map((side, axis) => Math.floor(at / product(shape.slice(axis + 1))) % side).join(", ")}]`;

/**
 * The payload of a typed array, its elements in C order, by `spec`: the parsed JSON of an ArraySpec.
 * If several sizes of the spec are null, the array needs its own as the property `shape`, a list.
 */
export async function encode(spec, array) {
  if (spec?.one_of) return smallest(spec, array);
  checkSpec(spec);
  const shape = shapeOf(spec, array), bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const wrong = spec.dtype === "bool" ? bytes.findIndex((byte) => byte > 1) : -1;
  demand(wrong < 0, () => `${array[wrong]} at ${place(wrong, shape)} is not a bool (0 or 1)`);
  const open = spec.shape.map((side) => side === null); // the axes of null
  let packed = { shape, open, dtype: spec.dtype, bytes }; // a Uint8Array after the container
  for (const step of spec.codecs) packed = await CODECS[step.name][0](packed, step, spec);
  demand(packed.length <= LONGEST, () => `the payload has ${packed.length} bytes, at most ${LONGEST} can be sent`);
  return packed;
}

/** The smallest payload of the chains of `one_of` that can carry the array, after the tag of its chain. */
async function smallest({ one_of: chains, ...form }, array) {
  const specs = chains.map((chain) => ({ ...form, ...chain })), fixed = specs.map(onlyLength), refused = [];
  demand(!fixed.some(Number.isNaN), () => "this client cannot tell the chains of one_of apart", SpecError);
  let best;
  for (const [place, spec] of specs.entries()) {
    try {
      const packed = await encode(spec, array), sent = new Uint8Array(packed.length + 1);
      sent[0] = 0xa0 + place;
      sent.set(packed, 1);
      // The graph takes a payload of a chain's fixed length for that chain: it is sent without a tag, or not at all.
      const plain = fixed.indexOf(packed.length) === place, clear = plain || !fixed.includes(sent.length);
      const payload = plain ? packed : sent;
      if (clear && !(best?.length <= payload.length)) best = payload;
    } catch (error) {
      if (!(error instanceof EncodeError || error instanceof SpecError)) throw error;
      refused.push(error.message);
    }
  }
  demand(best, () => `no chain can carry the array: ${refused.join("; ")}`);
  return best;
}

/** The one length that all payloads of a chain have; -1 if they differ, NaN if this client does not know. */
function onlyLength({ shape, dtype, codecs }) {
  const names = codecs.map(({ name }) => name), sealed = names.at(-1) === "seal";
  const cast = codecs.findLast(({ name }) => name === "astype")?.dtype ?? dtype;
  if (shape.includes(null) || /^(png|zlib|zlib_bounded|zstd)$/.test(names.at(sealed ? -2 : -1))) return -1;
  if (!names.every((name) => CODECS[name])) return NaN;
  return product(shape) * TYPES[cast][0] + (sealed ? 8 : 0);
}

/**
 * The body of a REST request to TensorFlow Serving; `arrays` has an array for each input, or a list: a batch.
 * Of a schema of several signatures, `signature` says which.
 */
export async function requestBody(schema, arrays, signature) {
  const name = signature ?? schema.signature;
  if (name !== schema.signature && (schema.signature || schema.signatures)) {
    demand(Object.hasOwn(schema.signatures ?? {}, name), () => `the schema has no signature '${name}'`, SpecError);
    schema = schema.signatures[name];
  }
  demand(schema.version === 1, () => `schema version ${schema.version} came, this client knows 1`, SpecError);
  const [came, needed] = [arrays, schema.inputs].map((inputs) => Object.keys(inputs).sort().join(", "));
  demand(came === needed, () => `arrays came for the inputs '${came}', the schema has '${needed}'`);
  const inputs = {};
  for (const [name, spec] of Object.entries(schema.inputs)) {
    const payloads = await Promise.all([arrays[name]].flat().map((array) => encode(spec, array)));
    const key = name.replace(/[^A-Za-z0-9_]/gu, "_");
    inputs[key.endsWith("_bytes") ? key : `${key}_bytes`] = payloads.map((payload) => ({ b64: base64(payload) }));
  }
  return name === undefined ? { inputs } : { signature_name: name, inputs };
}

function base64(bytes) {
  const parts = []; // each of a multiple of 3 bytes, so that only the last is padded
  for (let i = 0; i < bytes.length; i += 24576) parts.push(btoa(String.fromCharCode(...bytes.subarray(i, i + 24576))));
  return parts.join("");
}

/** Refuses what this client could misread. It does not check that the spec is valid. */
function checkSpec(spec) {
  const known = (what, names, all) => names.forEach((name) => demand(all.includes(name),
    () => `unknown ${what} '${name}', this client knows: ${all.join(", ")}`, SpecError));
  known("version", [spec.version], [1]);
  known("key of a spec", Object.keys(spec), KEYS);
  known("dtype", [spec.dtype], Object.keys(TYPES));
  demand(spec.codecs, () => "the spec has no codecs", SpecError);
  for (const { name, version = 1, ...options } of spec.codecs) {
    known("codec", [name], Object.keys(CODECS));
    known(`version of ${name}`, [version], [1]);
    known(`option of ${name}`, Object.keys(options), CODECS[name].slice(1));
  }
  const chain = spec.codecs.map(({ name }) => name).join("|");
  demand(CHAIN.test(chain) && spec.codecs.length <= 16, () => `${chain} is not a chain of at most 16 steps`, SpecError);
}

function shapeOf({ shape, max_shape, dtype }, array) {
  const [size, ...types] = TYPES[dtype], count = array?.byteLength / size;
  demand(types.some((type) => array instanceof type),
    () => `${array?.constructor.name} came, ${dtype} needs ${types.map((type) => type.name).join(" or ")}`);
  const stated = array.shape, text = JSON.stringify(shape);
  demand(stated || !statesSides(shape), () => `${text} needs a typed array with its sizes as the property 'shape'`);
  const rest = Math.floor(count / product(shape.map((side) => side ?? 1))); // the one side that may be null
  const sides = shape.map((side, axis) => (stated ? stated[axis] : side ?? Math.min(rest, max_shape[axis])));
  const fits = sides.every((side, axis) => Number.isInteger(side) && side >= 0 && side <= (max_shape ?? shape)[axis]
    && (shape[axis] === null || side === shape[axis])) && (stated ?? shape).length === shape.length;
  demand(fits && count === product(sides),
    () => `${count} elements came${stated ? ` of shape ${JSON.stringify(stated)}` : ""}, which do not fill ${text}`);
  return sides;
}

/** Whether the number of elements does not tell the sizes, so that payloads state them. */
function statesSides(shape) {
  const open = shape.filter((side) => side === null).length;
  return open > 1 || (open === 1 && shape.includes(0));
}

/** The sizes along the axes of null, if they are stated, and the elements. */
function raw(form, step, spec) {
  const elements = littleEndian(form), sides = form.shape.filter((_, axis) => form.open[axis]);
  if (!statesSides(spec.shape)) return elements.slice();
  const packed = new Uint8Array(4 * sides.length + elements.length), view = new DataView(packed.buffer);
  sides.forEach((side, i) => view.setUint32(4 * i, side, true));
  packed.set(elements, 4 * sides.length);
  return packed;
}

function transpose({ shape, open, dtype, bytes }, { order }) {
  const [size] = TYPES[dtype], moved = new Uint8Array(bytes.length);
  let starts = [0]; // of the elements in `bytes`, in their new order
  for (const axis of order) {
    const stride = size * product(shape.slice(axis + 1));
    starts = starts.flatMap((start) => Array.from({ length: shape[axis] }, (_, i) => start + i * stride));
  }
  // By bytes: a NaN that passes through a number may lose its payload.
  starts.forEach((start, at) => { for (let i = 0; i < size; i++) moved[at * size + i] = bytes[start + i]; });
  return { shape: order.map((axis) => shape[axis]), open: order.map((axis) => open[axis]), dtype, bytes: moved };
}

function astype({ shape, open, dtype: from, bytes }, { dtype: to }) {
  if (from === to) return { shape, open, dtype: to, bytes };
  demand(!/float16|complex/.test(from + to), () => `this client has no astype from ${from} to ${to}`, SpecError);
  const values = new TYPES[from][1](bytes.buffer, bytes.byteOffset, bytes.length / TYPES[from][0]);
  const packed = cast(values, to), back = new Uint8Array(cast(packed, from).buffer);
  let at = values.findIndex((value, i) => packed[i] != value && value === value); // -1 comes back from 255 the same
  if (at < 0) at = Math.floor(back.findIndex((byte, i) => byte !== bytes[i]) / TYPES[from][0]); // NaN, and -0 from 0
  demand(at < 0, () => `${Object.is(values[at], -0) ? "-0" : values[at]} at ${place(at, shape)} is not exactly ${to}`);
  return { shape, open, dtype: to, bytes: new Uint8Array(packed.buffer) };
}

/** Values that fit exactly; what becomes of others shows on the way back. */
function cast(values, dtype) {
  const one = dtype === "bool" ? (value) => (value == 1 ? 1 : 0)
    : dtype.endsWith("int64") ? (value) => BigInt(Number.isInteger(Number(value)) ? value : 0) : Number;
  const packed = new TYPES[dtype][1](values.length);
  for (let i = 0; i < packed.length; i++) packed[i] = one(values[i]);
  return packed;
}

function littleEndian({ dtype, bytes }) {
  if (!HOST_IS_BIG_ENDIAN) return bytes;
  const swapped = bytes.slice(), part = TYPES[dtype][1].BYTES_PER_ELEMENT; // half of a complex number
  for (let i = 0; i < bytes.length; i += part) swapped.subarray(i, i + part).reverse();
  return swapped;
}

function png(form, { layout = "planar" }) {
  const [H, W] = form.shape.length > 1 ? form.shape : [1, form.shape[0] ?? 1], C = product(form.shape.slice(2));
  const elements = littleEndian(form), [S] = TYPES[form.dtype], deep = S === 2; // 16 bits
  demand(elements.length || !form.open.includes(true), () => "a PNG of any size needs at least one element");
  if (!elements.length) return pngFile(Uint8Array.of(0), 1, 1, 8, 0);
  const colour = layout === "planar" ? 0 : { "1 1": 0, "2 1": 0, "1 3": 2, "1 4": 6 }[`${S} ${C}`];
  demand(colour !== undefined, () => `png has no ${layout} image of ${C} channels of ${S} bytes`, SpecError);
  if (colour) return pngFile(elements, W, H, 8, colour);
  const pixels = new Uint8Array(elements.length);
  for (let s = 0; s < S; s++) for (let c = 0; c < C; c++) { // one plane; the high byte of a deep pixel comes first
    let to = deep ? 2 * c * H * W + 1 - s : (s * C + c) * H * W;
    for (let i = c * S + s; i < pixels.length; i += C * S, to += deep ? 2 : 1) pixels[to] = elements[i];
  }
  return pngFile(pixels, W, deep ? C * H : S * C * H, deep ? 16 : 8, 0);
}

async function zlib(bytes, { max_packed = Infinity }) {
  const packed = await deflate(bytes);
  demand(packed.length <= max_packed,
    () => `the array deflates to ${packed.length} bytes, max_packed is ${max_packed}`);
  return packed;
}

/** Only after raw, as CHAIN demands: the most bytes that come are those of the largest shape, after its sizes. */
function zlibBounded(bytes, step, { shape, max_shape, dtype, codecs }) {
  const cast = codecs.findLast(({ name }) => name === "astype")?.dtype ?? dtype;
  const most = product(max_shape ?? shape) * TYPES[cast][0], fixed = !shape.includes(null) || most === 0;
  const head = statesSides(shape) ? 4 * shape.filter((side) => side === null).length : 0;
  return boundedStream(bytes, head + most, fixed);
}

/** The payload and 8 bytes after it: its hash modulo 2^62 under the first half of the fingerprint. */
function seal(bytes, step, { fingerprint }) {
  demand(/^[0-9a-f]{64}$/.test(fingerprint), () => "a seal needs the fingerprint of the spec", SpecError);
  const key = Uint8Array.from(fingerprint.slice(0, 32).match(/../g), (pair) => parseInt(pair, 16));
  const [low, high] = sipHash(key, bytes);
  const sealed = new Uint8Array(bytes.length + 8), view = new DataView(sealed.buffer);
  sealed.set(bytes);
  view.setUint32(bytes.length, low, true);
  view.setUint32(bytes.length + 4, high & 0x3fffffff, true);
  return sealed;
}
