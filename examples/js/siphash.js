// SipHash-2-4 (Aumasson and Bernstein, 2012), its 64-bit words as low and high halves: BigInt is far slower.

/** The hash, [low, high], of `bytes` under a key of 16 bytes. */
export function sipHash(key, bytes) {
  const [k0, k1, k2, k3] = words(key);
  const v = Uint32Array.of(
    0x70736575 ^ k0, 0x736f6d65 ^ k1, 0x6e646f6d ^ k2, 0x646f7261 ^ k3,
    0x6e657261 ^ k0, 0x6c796765 ^ k1, 0x79746573 ^ k2, 0x74656462 ^ k3,
  );
  const whole = bytes.length - (bytes.length % 8);
  const last = new Uint8Array(8); // what is left over, and the length in the last byte
  last.set(bytes.subarray(whole));
  last[7] = bytes.length;
  for (const part of [bytes.subarray(0, whole), last]) absorb(v, part);
  v[4] ^= 0xff;
  for (let i = 0; i < 4; i++) round(v);
  return [v[0] ^ v[2] ^ v[4] ^ v[6], v[1] ^ v[3] ^ v[5] ^ v[7]];
}

function words(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}

function absorb(v, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 8) {
    const low = view.getUint32(at, true), high = view.getUint32(at + 4, true);
    v[6] ^= low;
    v[7] ^= high;
    round(v);
    round(v);
    v[0] ^= low;
    v[1] ^= high;
  }
}

function round(v) {
  mix(v, 0, 2, 13);
  swap(v, 0);
  mix(v, 4, 6, 16);
  mix(v, 0, 6, 21);
  mix(v, 4, 2, 17);
  swap(v, 4);
}

/** Add word j to word i, turn word j left by `bits` and xor it with the sum; a word is at its low half. */
function mix(v, i, j, bits) {
  const low = v[j], high = v[j + 1], sum = v[i] + low;
  v[i] = sum;
  v[i + 1] += high + (sum > 0xffffffff ? 1 : 0);
  v[j] = ((low << bits) | (high >>> (32 - bits))) ^ v[i];
  v[j + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[i + 1];
}

function swap(v, i) {
  const low = v[i];
  v[i] = v[i + 1];
  v[i + 1] = low;
}
