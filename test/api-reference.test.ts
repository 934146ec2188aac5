// it says what the TSDoc says; `npm run docs` writes it anew.
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { apiReference } from './support/api-reference.js'
import { readDoors } from './support/public-api.js'

const page = fileURLToPath(new URL('../docs/api.md', import.meta.url))

it('docs/api.md has every public name and member, as its TSDoc describes it', async () => {
  const doors = readDoors()
  const reference = await apiReference(doors, page)
  for (const { names } of doors) {
    for (const { name, members } of names) {
      expect(reference).toContain(`### ${name}\n`)
      for (const member of members) expect(reference).toContain(member.name)
    }
  }
  await expect(reference).toMatchFileSnapshot(page)
}, 60_000)
