// A PNG file from its pixels (PNG specification, third edition), and deflate by the platform.

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** `pixels` are the rows of the image one after the other, 16-bit samples with the high byte first. */
export async function pngFile(pixels, width, height, depth, colour) {
  const chunks = [["IHDR", header(width, height, depth, colour)], ["IDAT", await smallest(pixels, width, height)], ["IEND", new Uint8Array()]];
  return new Uint8Array(await new Blob([SIGNATURE, ...chunks.flatMap(chunk)]).arrayBuffer());
}

function header(width, height, depth, colour) {
  const data = new Uint8Array(13), view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, colour], 8);
  return data;
}

/**
 * The data of the IDAT chunk of a grey image of `bytes`, and its CRC: the codec zlib_bounded. If the length is not
 * fixed, it and the CRC of the IHDR chunk come first. The most bytes determine the width.
 */
export async function boundedStream(bytes, most, fixed) {
  const width = Math.max(1, Math.ceil(most / Math.max(1, Math.ceil(most / 8192))));
  const height = Math.max(1, Math.ceil(bytes.length / width)), pixels = new Uint8Array(width * height);
  pixels.set(bytes); // zeros fill the last row
  const packed = await deflate(filtered(pixels, width, height, 0)), [, , , crc] = chunk(["IDAT", packed]);
  const [, , , checked] = chunk(["IHDR", header(width, height, 8, 0)]), length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, bytes.length, true);
  return new Uint8Array(await new Blob([...(fixed ? [] : [length, checked]), packed, crc]).arrayBuffer());
}

/** Deflated under the one filter that suits the image: None for masks, Sub or Up for what is smooth. */
async function smallest(pixels, width, height) {
  const tries = await Promise.all([0, 1, 2].map((filter) => deflate(filtered(pixels, width, height, filter))));
  return tries.reduce((best, packed) => (packed.length < best.length ? packed : best));
}

/** Each row after its filter byte: 0 is None, 1 Sub, 2 Up. */
function filtered(pixels, width, height, filter) {
  const row = pixels.length / height, back = [0, row / width, row][filter];
  const lines = new Uint8Array(pixels.length + height);
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    lines[to++] = filter;
    for (let x = 0; x < row; x++, from++) {
      const first = filter === 1 ? x < back : y === 0; // nothing to look back to
      lines[to++] = pixels[from] - (filter === 0 || first ? 0 : pixels[from - back]);
    }
  }
  return lines;
}

function chunk([type, data]) {
  const length = new DataView(new ArrayBuffer(4)), crc = new DataView(new ArrayBuffer(4));
  const name = Uint8Array.from(type, (letter) => letter.charCodeAt(0));
  let sum = -1;
  for (const part of [name, data]) {
    for (let i = 0; i < part.length; i++) sum = CRC[(sum ^ part[i]) & 255] ^ (sum >>> 8);
  }
  length.setUint32(0, data.length);
  crc.setUint32(0, ~sum);
  return [length, name, data, crc];
}

/** RFC 1950, at whatever level the platform has. */
export async function deflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const most = bytes.length + 5 * Math.ceil(bytes.length / 5000) + 64; // decoders take no more
  if (packed.length > most) throw new RangeError(`${bytes.length} bytes deflate to ${packed.length}, needs ${most}`);
  return packed;
}
