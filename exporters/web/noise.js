// The noise of worldmodel_env/imagination/noise.py, bit for bit: a hash of (key, step, position).

function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

// `count` numbers in (0, 1); key: BigInt below 2^63, step: a whole number
export function uniform(key, step, count) {
  const low = Number(key & 0xffffffffn);
  const high = Number(key >> 32n);
  const row = mix(mix(low) ^ mix((high + 0x632be5ab) | 0) ^ step);
  return Float32Array.from({ length: count }, (_, position) => {
    const bits = mix(mix(row ^ Math.imul(position, 0x9e3779b1))) >>> 0;
    return ((bits >>> 9) + 0.5) * 2 ** -23;
  });
}

// A fresh key.
export function randomKey() {
  return crypto.getRandomValues(new BigUint64Array(1))[0] >> 1n;
}
