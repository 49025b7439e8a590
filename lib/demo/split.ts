/**
 * Which concepts the demo never trains on: a fixed share, chosen by a hash of the name, so that the choice depends on
 * the seed alone, not on the order or number of concepts.
 */
import { createHash } from 'node:crypto'

// Iconify's names spell out who is drawn; these words make the only difference between near-identical drawings.
const who = /(^|-)(man|men|woman|women|person|people|boy|girl)(?=-|$)/g

/**
 * What concepts that differ only in who is drawn have in common: `woman-running` and `man-running` give `running`.
 * A family goes to one side whole, or a "new" concept would be one the network has seen with other hair.
 */
export function emojiFamily(name: string): string {
  return name.replace(who, '').replace(/^-/, '') || 'person'
}

/** True for about `share` of the families, the same for a seed on every machine. */
export function isHeldOut(name: string, seed: number, share = 0.2): boolean {
  const digest = createHash('sha256')
    .update(`${seed}:${emojiFamily(name)}`)
    .digest()
  return digest.readUInt32BE(0) / 2 ** 32 < share
}
