// The files of users that the matrix tries: test/matrix/fixtures.
import { copyFileSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

const folder = resolve(import.meta.dirname, '../../fixtures')

/** Copies files, each by its name, or as another one: `kit.test.ts=kit.spec.ts`. */
export function copyFixtures(to: string, ...names: readonly string[]): void {
  for (const name of names) {
    const [source = name, target = source] = name.split('=')
    copyFileSync(join(folder, source), join(to, basename(target)))
  }
}

export function fixture(name: string): string {
  return readFileSync(join(folder, name), 'utf8')
}
