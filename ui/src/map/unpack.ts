// Reads the world as `ui/map/make.mjs` packs it: a third smaller than its paths, on the wire.
const DIGITS = Array.from({ length: 92 }, (_, index) => String.fromCharCode(35 + index)).filter((one) => !"$'\\`|".includes(one));

const value = (digit: string | undefined) => DIGITS.indexOf(digit!);
const place = (text: string): [number, number] => [value(text[0]) * 81 + value(text[1]), value(text[2]) * 81 + value(text[3])];
const named = <T>(packed: string, read: (text: string) => T) => packed.split('|').map((one): [string, T] => [one.slice(0, 2), read(one.slice(2))]);

/** Each code with its path. Areas without a code have a number with a minus before it. */
export function paths(packed: string): Array<[string, string]> {
  return named(packed, (text) => text.split(' ').map((ring) => {
    let path = `M${place(ring)}l`;
    for (let at = 4; at < ring.length; at += 1) {
      const step = value(ring[at]);
      if (step >= 0) path += `${Math.floor(step / 9) - 4} ${(step % 9) - 4} `;
      else path += `${value(ring[(at += 1)]) - 40} ${value(ring[(at += 1)]) - 40} `;
    }
    return `${path}z`;
  }).join(''));
}

/** Each code of a small country with its middle. */
export function places(packed: string): Array<[string, [number, number]]> {
  return named(packed, place);
}
