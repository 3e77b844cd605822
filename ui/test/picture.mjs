// Makes a picture of a screen small: at most 256 colours, which is what a screen without photographs has, but for the edges of letters.
// Reads what Chromium writes (8 bits, not interlaced) and nothing else.
import { deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);

/** The parts of a PNG: name and bytes. */
function* chunks(png) {
  for (let at = SIGNATURE.length; at < png.length;) {
    const length = png.readUInt32BE(at);
    yield [png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + length)];
    at += length + 12;
  }
}

/** The colour of each point, as 0xRRGGBB. */
function points(png) {
  const parts = [...chunks(png)];
  const head = parts.find(([name]) => name === 'IHDR')[1];
  const [width, height, bits, kind, interlaced] = [head.readUInt32BE(0), head.readUInt32BE(4), head[8], head[9], head[12]];
  if (bits !== 8 || interlaced || (kind !== 2 && kind !== 6)) throw new Error('A PNG of another form than Chromium writes.');
  const size = kind === 6 ? 4 : 3;
  const raw = inflateSync(Buffer.concat(parts.filter(([name]) => name === 'IDAT').map(([, bytes]) => bytes)));
  const line = width * size;
  const rows = Buffer.alloc(line * height);
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (line + 1)];
    for (let x = 0; x < line; x += 1) {
      const left = x >= size ? rows[y * line + x - size] : 0;
      const up = y > 0 ? rows[(y - 1) * line + x] : 0;
      const corner = x >= size && y > 0 ? rows[(y - 1) * line + x - size] : 0;
      const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
      const guess = [0, left, up, (left + up) >> 1, a <= b && a <= c ? left : b <= c ? up : corner][filter];
      rows[y * line + x] = raw[y * (line + 1) + 1 + x] + guess;
    }
  }
  const all = new Uint32Array(width * height);
  for (let at = 0; at < all.length; at += 1) all[at] = rows.readUIntBE(at * size, 3);
  return { width, height, all };
}

const CRC = Array.from({ length: 256 }, (_, byte) => { let sum = byte; for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1; return sum >>> 0; });
function chunk(name, bytes) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), bytes]);
  let sum = 0xffffffff;
  for (const byte of body) sum = CRC[(sum ^ byte) & 255] ^ (sum >>> 8);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(bytes.length);
  check.writeUInt32BE((sum ^ 0xffffffff) >>> 0);
  return Buffer.concat([length, body, check]);
}

export function small(png) {
  const { width, height, all } = points(png);
  const count = new Map();
  for (const colour of all) count.set(colour, (count.get(colour) ?? 0) + 1);
  // The most frequent ones stay as they are, and each of the others becomes the nearest of them.
  const palette = [...count.entries()].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 256).map(([colour]) => colour);
  const far = (one, other) => [16, 8, 0].reduce((sum, shift) => sum + (((one >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
  const place = new Map(palette.map((colour, index) => [colour, index]));
  for (const colour of count.keys()) {
    if (place.has(colour)) continue;
    let best = 0;
    for (let index = 1; index < 256; index += 1) if (far(palette[index], colour) < far(palette[best], colour)) best = index;
    place.set(colour, best);
  }
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) rows[y * (width + 1) + 1 + x] = place.get(all[y * width + x]);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), chunk('PLTE', colours), chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })), chunk('IEND', Buffer.alloc(0))]);
}
