from zoo.cli.app import app

app()
