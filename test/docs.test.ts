// each block of code on a page of docs is the region of a file that the tests run.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../', import.meta.url)
const pages = readdirSync(new URL('docs/', root)).filter((name) => name.endsWith('.md'))
const allPages = [
  ...pages.map((name) => `docs/${name}`),
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
]

/** A fenced block, and the comment right above it that names its file: `<!-- test/recipes/last-seen.ts -->`. */
const block = /^(?:<!-- (?<file>\S+) -->\n\n?)?```(?<language>ts|js|haproxy|nginx|diff)\n(?<code>.*?)^```$/gms

/** What stands between `// #region docs` and `// #endregion` (`# region docs` and `# endregion`), as far to the left as it goes. */
const region = /^ *(?:\/\/ #|# )region docs\n(?<code>.*?)^ *(?:\/\/ #|# )endregion$/gms

describe.each(pages)('docs/%s', (page) => {
  it('shows code that the tests run', () => {
    for (const { groups } of read(`docs/${page}`).matchAll(block)) {
      const { file = '', language, code = '' } = groups ?? {}
      expect(file, `This block names no file:\n${code}`).not.toBe('')
      expect(regionsOf(file)).toContain(language === 'diff' ? resultOf(code) : code)
    }
  })
})

describe('CHANGELOG.md', () => {
  it('begins with the version of package.json, dated or unreleased', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    const [, newest, when] = /^## (\S+)(?: \((unreleased|\d{4}-\d\d-\d\d)\))?$/m.exec(read('CHANGELOG.md')) ?? []
    expect(newest).toBe(version)
    expect(when).toBeDefined()
  })
})

describe.each(allPages)('%s', (page) => {
  it('links to files and headings that exist', () => {
    const links = [...proseOf(read(page)).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link = '']) => link)
    expect(links.filter((link) => !exists(page, link))).toEqual([])
  })
})

function exists(page: string, link: string): boolean {
  const [path = '', heading] = link.split('#')
  const target = path === '' ? new URL(page, root) : new URL(path, new URL(page, root))
  if (!existsSync(target)) return false
  return heading === undefined || headingsOf(readFileSync(target, 'utf8')).includes(heading)
}

/** As GitHub names them. */
function headingsOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function proseOf(markdown: string): string {
  return markdown.replaceAll(/^```.*?^```$/gms, '')
}

function regionsOf(file: string): string[] {
  return [...read(file).matchAll(region)].map(({ groups }) => dedented(groups?.code ?? ''))
}

/** What a diff leaves. */
function resultOf(diff: string): string {
  return diff
    .split('\n')
    .filter((line) => !line.startsWith('-'))
    .map((line) => line.slice(1))
    .join('\n')
}

function dedented(code: string): string {
  const indents = code.match(/^ *(?=\S)/gm) ?? ['']
  const least = Math.min(...indents.map(({ length }) => length))
  return code.replaceAll(new RegExp(`^ {${least}}`, 'gm'), '')
}

function read(path: string): string {
  return readFileSync(new URL(path, root), 'utf8')
}
