/*
 * Stops `npm publish` until package.json says where the project lives.
 */
import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const missing = ['repository', 'homepage', 'bugs'].filter((field) => manifest[field] === undefined)
if (missing.length > 0) {
  console.error(
    `Not published: package.json has no ${missing.map((field) => `"${field}"`).join(', ')}. ` +
      'npm checks the provenance of a release against `repository`, and people look for the source there. See "Releases" in CONTRIBUTING.md.',
  )
  process.exit(1)
}
