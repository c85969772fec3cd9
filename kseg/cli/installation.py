"""The command that looks at the installation: doctor."""

import typer
from rich.markup import escape
from rich.table import Table

from kseg.cli.shell import app, console


@app.command()
def doctor():
    """Check this installation and name the fix for whatever is wrong."""
    from kseg.doctor import examine

    findings = examine()
    marks = {"ok": "[green]ok", "missing": "[yellow]missing", "wrong": "[red]wrong"}
    table = Table("", "what", "found", "fix", box=None)
    for finding in findings:
        table.add_row(
            marks[finding.state],
            finding.what,
            escape(finding.found),
            escape(finding.fix),
        )
    console.print(table)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)
