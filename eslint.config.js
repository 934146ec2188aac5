import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'
import { importsDownwards } from './eslint.layers.js'

/* What the demo's page uses of a browser. */
const browserNames = [
  'AbortSignal',
  'FormData',
  'URL',
  'URLSearchParams',
  'WebSocket',
  'clearTimeout',
  'document',
  'fetch',
  'location',
  'performance',
  'setInterval',
  'setTimeout',
  'window',
]

export default defineConfig(
  globalIgnores(['dist', 'coverage', '**/.build', 'test/matrix/fixtures']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // `() => socket.destroy()` is clear enough, and so is the guard `if (…) return refuse(…)` in a function of type void.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // A number in a message is what it looks like.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `const { left, out, ...rest } = record` is how to leave something out.
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      // It asks for `!`, which another rule forbids.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'A const object, or a union of literals.' },
        { selector: 'ExportDefaultDeclaration', message: 'Names are exported one by one.' },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { local: { rules: { 'imports-downwards': importsDownwards } } },
    rules: { 'local/imports-downwards': 'error', 'no-console': 'error' },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A test that meets `undefined` fails as it should.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // `expect(object.method)` compares a method, it does not call it.
      '@typescript-eslint/unbound-method': 'off',
      // Stand-ins do nothing, in the shape of what they stand in for.
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['demo/{public,other-site}/*.js'],
    languageOptions: {
      globals: Object.fromEntries(browserNames.map((name) => [name, 'readonly'])),
    },
  },
  {
    files: ['scripts/*.js', 'typedoc.config.js'],
    languageOptions: { globals: { URL: 'readonly', console: 'readonly', process: 'readonly' } },
  },
  { files: ['test/matrix/beside/*.js'], languageOptions: { globals: { process: 'readonly' } } },
  {
    files: ['test/{consumers,migration}/**/*.ts'],
    rules: {
      // CommonJS packages have ws's classes from its other type declarations, which say the same.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
    },
  },
  // The one place where vitest looks for a default export.
  { files: ['vitest.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
)
