"""`rlplug toy`."""

import typer

app = typer.Typer(help="Draw the corridor.")


@app.callback(invoke_without_command=True)
def draw(length: int = 5) -> None:
    """Draw the corridor."""
    typer.echo("." * length + "G")
