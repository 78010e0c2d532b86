module dougong/build/pause

go 1.23
