// Makes ui/src/map/world.ts: the world in 1 000 units of width, Natural Earth projection, the steps of each country's outline packed in a text.
//
// usage: cd ui/map && npm ci --ignore-scripts && node make.mjs
// It is made of world-atlas 50m (ISC; Natural Earth, public domain): 110m lacks Singapore, Hong Kong, Malta and seventy others.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import mapshaper from 'mapshaper';

const require = createRequire(import.meta.url);
const codes = require('i18n-iso-countries/codes.json');
const letters = Object.fromEntries(codes.map(([two, , digits]) => [digits, two]));
const WIDTH = 1000;
/** How much of the points is kept. */
const KEPT = '4.6%';
/** Countries that take less than this, in square units, are dots as well: a finger would not find them. */
const SMALL = 12;
/** Codes without a shape of their own, and where they are: longitude, latitude. */
const PLACES = {
  GF: [-53, 4], RE: [55.5, -21.1], GP: [-61.5, 16.2], MQ: [-61, 14.6], YT: [45.2, -12.8], BQ: [-68.3, 12.2], SJ: [16, 78.5], CC: [96.9, -12.2], CX: [105.7, -10.5],
  TK: [-171.8, -9.2], BV: [3.4, -54.4], UM: [166.6, 19.3], TV: [179.2, -8.5], GI: [-5.3, 36.1], AQ: [0, -72],
};

// Areas without a code: Kosovo has one that databases use; the others are drawn and stand for nothing.
const WITHOUT = { Kosovo: 'XK' };

function project([longitude, latitude]) {
  const l = (longitude * Math.PI) / 180;
  const p = (latitude * Math.PI) / 180;
  const p2 = p * p;
  const p4 = p2 * p2;
  return [
    l * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4))),
    -p * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4))),
  ];
}
const half = project([180, 0])[0];
const scale = WIDTH / (2 * half);
const top = project([0, 83.7])[1];
const bottom = project([0, -56])[1];
const place = (point) => {
  const [x, y] = project(point);
  return [Math.round((x + half) * scale), Math.round((y - top) * scale)];
};

const source = readFileSync(require.resolve('world-atlas/countries-50m.json'));
const made = await mapshaper.applyCommands(`-i in.json -simplify ${KEPT} keep-shapes -o out.json format=geojson target=countries`, { 'in.json': source });
const { features } = JSON.parse(made['out.json']);

const area = (ring) => ring.reduce((sum, [x, y], index) => {
  const [nextX, nextY] = ring[(index + 1) % ring.length];
  return sum + (x * nextY - nextX * y) / 2;
}, 0);

/** A ring without points that fall together; nothing where it has shrunk to a line. */
function ringOf(points) {
  const ring = [];
  for (const point of points.map(place)) {
    const last = ring[ring.length - 1];
    if (!last || last[0] !== point[0] || last[1] !== point[1]) ring.push(point);
  }
  const [first] = ring;
  const last = ring[ring.length - 1];
  if (ring.length > 1 && first[0] === last[0] && first[1] === last[1]) ring.pop();
  return ring.length >= 3 && Math.abs(area(ring)) >= 1 ? ring : undefined;
}

/** A ring that crosses the line of dates, as what lies on this side of it and what lies beyond. */
function cut(ring) {
  let turn = 0;
  const whole = ring.map(([x, y], index) => {
    const before = index > 0 ? ring[index - 1][0] : x;
    if (x - before > 180) turn -= 360;
    if (x - before < -180) turn += 360;
    return [x + turn, y];
  });
  return [-540, -180, 180].map((from) => halfPlane(halfPlane(whole, (x) => x - from), (x) => from + 360 - x)
    .map(([x, y]) => [x - from - 180, y])).filter((part) => part.length >= 3);
}

/** What of a ring lies where `inside` of the longitude is not below zero (Sutherland and Hodgman). */
function halfPlane(ring, inside) {
  const kept = [];
  ring.forEach((point, index) => {
    const next = ring[(index + 1) % ring.length];
    const [a, b] = [inside(point[0]), inside(next[0])];
    if (a >= 0) kept.push(point);
    if ((a > 0 && b < 0) || (a < 0 && b > 0)) kept.push([0, 1].map((axis) => point[axis] + ((next[axis] - point[axis]) * a) / (a - b)));
  });
  return kept;
}

/** What numbers are written with: 87 characters that stand in a string of a program as they are. `src/map/unpack.ts` reads them. */
const DIGITS = Array.from({ length: 92 }, (_, index) => String.fromCharCode(35 + index)).filter((one) => !"$'\\`|".includes(one));
const digit = (value) => DIGITS[value] ?? fail(`${value} has no digit`);
const fail = (text) => { throw new Error(text); };
/** A place: two digits to the base of 81 for each number. */
const packed = ([x, y]) => [x, y].map((value) => digit(Math.floor(value / 81)) + digit(value % 81)).join('');
/** A step: one digit where it is short, as five of six are, else two after an exclamation mark. */
const step = ([x, y]) => (Math.max(Math.abs(x), Math.abs(y)) <= 4 ? digit((x + 4) * 9 + y + 4) : `!${digit(x + 40)}${digit(y + 40)}`);

/** A ring's steps after its first point; those that go on in the same direction are one where that is shorter. */
function stepsOf(ring) {
  const steps = [];
  ring.slice(1).forEach(([x, y], index) => {
    const now = [x - ring[index][0], y - ring[index][1]];
    const last = steps[steps.length - 1];
    const both = last && [last[0] + now[0], last[1] + now[1]];
    const isOn = last && last[0] * now[1] === last[1] * now[0] && last[0] * now[0] + last[1] * now[1] > 0;
    if (isOn && Math.max(...both.map(Math.abs)) <= 40 && step(both).length < (step(last) + step(now)).length) steps[steps.length - 1] = both;
    else steps.push(now);
  });
  return steps;
}

const ringsOf = (rings) => rings.map((ring) => packed(ring[0]) + stepsOf(ring).map(step).join('')).join(' ');

const shapes = {};
const dots = {};
let nameless = 0;
for (const feature of features) {
  const { name } = feature.properties;
  // It carries Australia's code, and would move its middle.
  if (name.startsWith('Ashmore') || name === 'Antarctica' || !feature.geometry) continue;
  const code = WITHOUT[name] ?? letters[String(feature.id).padStart(3, '0')];
  const polygons = feature.geometry.type === 'Polygon' ? [feature.geometry.coordinates] : feature.geometry.coordinates;
  const rings = polygons.flatMap((polygon) => polygon.flatMap(cut).map(ringOf)).filter(Boolean);
  const size = rings.reduce((sum, ring) => sum + Math.abs(area(ring)), 0);
  if (rings.length > 0) shapes[code ?? `-${(nameless += 1)}`] = ringsOf(rings);
  if (code && size < SMALL) {
    const [points] = cut(polygons[0][0]);
    const middle = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
    dots[code] = place(middle);
  }
}
for (const [code, at] of Object.entries(PLACES)) if (!shapes[code]) dots[code] = place(at);

const height = Math.ceil((bottom - top) * scale);
const missing = codes.map(([two]) => two).filter((two) => !shapes[two] && !dots[two]);
if (missing.length > 0) console.log(`neither shape nor dot: ${missing.join(' ')}`);
const sorted = (object) => Object.fromEntries(Object.entries(object).sort());
const text = (object) => `'${Object.entries(sorted(object)).map(([code, value]) => code + value).join('|')}'`;
for (const code of Object.keys(dots)) dots[code] = packed(dots[code]);
writeFileSync(new URL('../src/map/world.ts', import.meta.url), `// Made by ui/map/make.mjs of world-atlas (ISC) and Natural Earth (public domain); not to be edited.
export const height = ${height};
export const shapes = ${text(shapes)};
export const dots = ${text(dots)};
`);
console.log(`${Object.keys(shapes).length} shapes, ${Object.keys(dots).length} dots, height ${height}`);
