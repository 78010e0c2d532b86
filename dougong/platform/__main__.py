"""Write what is made from the model: `python -m dougong.platform`."""

from dougong.platform.schema import REFERENCE_FILE, SCHEMA_FILE, reference, schema_text

for file, content in ((SCHEMA_FILE, schema_text()), (REFERENCE_FILE, reference())):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    print(file)
