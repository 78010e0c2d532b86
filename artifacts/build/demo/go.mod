module dougong/build/demo

go 1.23
