// app may import everything, a feature may import ui and api, features do not import each other, ui imports only ui.
module.exports = {
  forbidden: [
    {
      name: "features-are-islands",
      severity: "error",
      from: { path: "^src/features/([^/]+)/" },
      to: { path: "^src/features/", pathNot: "^src/features/$1/" },
    },
    {
      name: "shared-knows-no-feature",
      severity: "error",
      from: { path: "^src/(ui|api)/" },
      to: { path: "^src/(features|app)/" },
    },
    { name: "ui-does-not-fetch", severity: "error", from: { path: "^src/ui/" }, to: { path: "^src/api/" } },
    {
      name: "features-do-not-know-the-app",
      severity: "error",
      from: { path: "^src/features/" },
      to: { path: "^src/app/" },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
  },
};
