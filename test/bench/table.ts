/*
 * What a workload found, as the screen shows it and as docs/benchmarks.md does.
 */

/** A column of figures and how many digits they have behind the point. */
export interface Column {
  readonly name: string
  readonly digits: number
}

export interface Row {
  readonly name: string
  /** One for each column; `undefined` leaves the cell empty. */
  readonly values: readonly (number | undefined)[]
}

/** What a figure was meant to be. */
export interface Aim {
  readonly what: string
  readonly atMost: number
  readonly got: number
}

export interface Table {
  readonly workload: string
  readonly title: string
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
  readonly aims?: readonly Aim[]
  /** How to read it, in a sentence. */
  readonly note?: string
  /** The column that the chart draws. */
  readonly drawn?: string
}

function isMet({ got, atMost }: Aim): boolean {
  return got <= atMost
}

export function asText(table: Table): string {
  const names = Math.max(...table.rows.map(({ name }) => name.length), 34)
  const widths = table.columns.map((column, index) =>
    Math.max(column.name.length, ...table.rows.map((row) => cell(row, index, column).length)),
  )
  const line = (name: string, cells: readonly string[]): string =>
    `  ${name.padEnd(names)}${cells.map((text, index) => text.padStart((widths[index] ?? 0) + 3)).join('')}`
  return [
    table.title,
    line(
      '',
      table.columns.map(({ name }) => name),
    ),
    ...table.rows.map((row) =>
      line(
        row.name,
        table.columns.map((column, index) => cell(row, index, column)),
      ),
    ),
    ...(table.aims ?? []).map((aim) => `  ${aimText(aim)}`),
  ].join('\n')
}

export function asMarkdown(table: Table): string {
  const header = ['', ...table.columns.map(({ name }) => name)]
  const rows = table.rows.map((row) => [row.name, ...table.columns.map((column, index) => cell(row, index, column))])
  const widths = header.map((name, index) => Math.max(name.length, 3, ...rows.map((row) => row[index]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, index) => (index === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[index] ?? 0))).join(' | ')} |`
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [
    `### ${table.title}`,
    '',
    ...(table.note === undefined ? [] : [table.note, '']),
    line(header),
    line(rule),
    ...rows.map(line),
  ].join('\n')
}

function aimText(aim: Aim): string {
  return `${aim.what}: ${figure(aim.got)}, aim at most ${figure(aim.atMost)}: ${isMet(aim) ? 'met' : 'not met'}`
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2)
}

function cell({ values }: Row, index: number, { digits }: Column): string {
  const value = values[index]
  return value === undefined ? '' : value.toFixed(digits)
}
