/*
 * Which part of a Cluster a key belongs to (Redis Cluster specification, "Key distribution model" and "Hash tags").
 */

export const slotCount = 16_384

/** CRC16 of each byte, as XMODEM has it: polynomial 0x1021, from 0, nothing reflected. */
const crcOfByte = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  return crc
})

/** The slot of a key, from 0 to 16,383. */
export function slotOf(key: string): number {
  let crc = 0
  for (const byte of Buffer.from(hashedPartOf(key))) {
    crc = ((crc << 8) & 0xffff) ^ (crcOfByte[(crc >> 8) ^ byte] as number)
  }
  return crc % slotCount
}

/* What stands between the first `{` and the next `}`, if anything does. */
function hashedPartOf(key: string): string {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open)
  return close > open + 1 ? key.slice(open + 1, close) : key
}
